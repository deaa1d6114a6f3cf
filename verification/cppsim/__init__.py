"""C++ simulation of FINN's HLS layers with g++ alone: what Vitis HLS would synthesise is compiled.

    network = CppNetwork(model, layers)       # layers: of finn_flow.hls, in topological order
    network.check(pixels)                     # all in one program, every stream against the executor
    network.check_layer("MVAU_3", pixels)     # one alone

A layer's C++ is the top function that FINN generates for synthesis; its parameter memory is read at run time,
so that layers that differ in nothing else share one object.
"""
