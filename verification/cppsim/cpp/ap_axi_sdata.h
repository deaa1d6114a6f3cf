// A beat of an AXI stream with side channels: finn-hlslib's headers name it, and none of our layers uses it.
#ifndef AP_AXI_SDATA_H
#define AP_AXI_SDATA_H

template <int D, int U, int I, int T>
struct qdma_axis;
#endif
