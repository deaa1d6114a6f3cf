"""The HLS backend: FINN's C++ for each layer, and what Vitis HLS needs to synthesise it."""
