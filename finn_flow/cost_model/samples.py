"""The foldings that the cost model is fitted to, and those that it is checked with: small, and of every kind.

Arguments are those of `finn_flow.cost_model.single`. Every third is held out of the fit.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qonnx.core.modelwrapper import ModelWrapper

from finn_flow.cost_model import single

HELD_OUT_EVERY = 3

BUILDERS: dict[str, Callable[..., ModelWrapper]] = {
    "StreamingFIFO": single.fifo,
    "StreamingDataWidthConverter": single.converter,
    "DuplicateStreams": single.duplicate,
    "ElementwiseAdd": single.add,
    "WindowGenerator": single.window,
    "Requant": single.requant,
    "Thresholding": single.thresholding,
    "VVAU": single.vvau,
    "MVAU": single.mvau,
}

SAMPLES: dict[str, list[tuple[Any, ...]]] = {
    "StreamingFIFO": [  # width, depth, style
        *(
            (4, 2, "auto"),
            (16, 2, "auto"),
            (8, 5, "auto"),
            (32, 16, "auto"),
            (64, 2, "auto"),
            (13, 32, "auto"),
        ),
        *((4, 33, "auto"), (24, 64, "auto"), (11, 128, "auto"), (4, 300, "auto"), (8, 512, "auto")),
        *((16, 256, "auto"), (40, 150, "auto"), (4, 1024, "auto"), (64, 96, "auto"), (8, 2048, "auto")),
        *((16, 1024, "auto"), (128, 32, "auto"), (52, 4, "auto"), (4, 4096, "auto"), (32, 512, "auto")),
        *((128, 2, "auto"), (1, 2, "auto"), (27, 2, "auto")),
    ],
    "StreamingDataWidthConverter": [  # in, out
        *((4, 8), (4, 16), (4, 32), (4, 64), (16, 4), (64, 8), (48, 12), (128, 16), (8, 128), (52, 13)),
        *((24, 32), (12, 8), (32, 12), (64, 48), (8, 24), (88, 11), (36, 4), (4, 144), (96, 64), (10, 25)),
    ],
    "DuplicateStreams": [(1, 4), (2, 4), (16, 4), (8, 8)],
    "ElementwiseAdd": [  # pe, types
        *((1, "INT4", "INT4", "INT5"), (2, "INT4", "INT4", "INT5"), (4, "INT8", "INT8", "INT9")),
        *((8, "INT4", "INT4", "INT5"), (16, "INT2", "INT2", "INT3"), (2, "UINT4", "INT4", "INT6")),
        *((16, "INT4", "INT4", "INT5"), (1, "INT8", "INT8", "INT9"), (3, "INT6", "INT6", "INT7")),
    ],
    "WindowGenerator": [  # size, channels, simd, bits, kernel, stride, parallel, style
        *(
            (7, 16, 4, 4, 3, 1, 0, "distributed"),
            (14, 64, 2, 4, 3, 1, 0, "block"),
            (28, 128, 1, 4, 3, 1, 0, "block"),
        ),
        *(
            (56, 64, 4, 4, 3, 2, 0, "block"),
            (14, 8, 8, 4, 3, 2, 0, "distributed"),
            (112, 3, 3, 8, 3, 2, 0, "block"),
        ),
        *(
            (7, 64, 8, 2, 3, 1, 0, "distributed"),
            (28, 32, 16, 8, 3, 1, 0, "block"),
            (14, 32, 4, 8, 3, 1, 0, "distributed"),
        ),
        *(
            (7, 128, 1, 4, 7, 1, 0, "block"),
            (7, 512, 16, 4, 7, 1, 0, "block"),
            (8, 16, 16, 4, 8, 1, 0, "distributed"),
        ),
        *(
            (7, 16, 4, 4, 3, 1, 1, "distributed"),
            (14, 64, 2, 4, 3, 1, 1, "block"),
            (28, 32, 4, 4, 3, 1, 1, "distributed"),
        ),
        *(
            (56, 64, 8, 4, 3, 2, 1, "block"),
            (28, 128, 16, 4, 3, 1, 1, "block"),
            (14, 8, 8, 8, 3, 1, 1, "distributed"),
        ),
        *(
            (7, 32, 2, 8, 7, 1, 1, "distributed"),
            (112, 64, 4, 2, 3, 1, 1, "block"),
            (28, 64, 1, 4, 3, 2, 1, "block"),
        ),
    ],
    "Requant": [  # channels, pe, bits, x, scale, bias, shift
        *(
            (64, 1, 4, 11, 14, 23, 0),
            (128, 2, 4, 12, 16, 27, 0),
            (128, 1, 4, 14, 12, 21, 5),
            (256, 4, 4, 11, 15, 24, 0),
        ),
        *(
            (64, 8, 4, 13, 12, 22, 5),
            (64, 4, 4, 14, 15, 24, 0),
            (64, 1, 8, 18, 17, 30, 0),
            (256, 1, 2, 9, 10, 17, 4),
        ),
        *(
            (128, 4, 4, 13, 12, 21, 5),
            (64, 2, 8, 16, 12, 24, 3),
            (512, 2, 4, 13, 15, 25, 0),
            (128, 8, 4, 5, 1, 2, 0),
        ),
        *(
            (64, 1, 4, 5, 1, 2, 0),
            (128, 4, 8, 9, 1, 2, 0),
            (128, 2, 4, 5, 1, 2, 0),
            (64, 8, 4, 12, 16, 27, 0),
        ),
        *((512, 1, 4, 12, 12, 22, 5), (128, 2, 4, 11, 10, 18, 4), (64, 1, 4, 13, 16, 25, 0)),
    ],
    "Thresholding": [  # channels, pe, bits, x, trigger
        *((64, 1, 4, 12, 0), (16, 4, 4, 12, 0), (32, 2, 2, 10, 0), (64, 4, 2, 12, 0), (8, 8, 4, 14, 0)),
        *(
            (128, 1, 2, 11, 0),
            (16, 1, 6, 14, 0),
            (64, 2, 4, 11, 0),
            (128, 2, 4, 12, 512),
            (512, 1, 4, 12, 512),
        ),
        *(
            (256, 1, 4, 13, 0),
            (64, 1, 8, 16, 512),
            (64, 8, 3, 13, 0),
            (128, 4, 4, 16, 512),
            (32, 16, 2, 10, 0),
        ),
    ],
    "VVAU": [  # channels, kernel, pe, simd, w, x, style
        *((32, 3, 1, 1, 4, "UINT4", "distributed"), (64, 3, 2, 9, 4, "UINT4", "block")),
        *((16, 3, 8, 1, 4, "UINT4", "distributed"), (32, 3, 2, 3, 8, "UINT8", "block")),
        *((16, 3, 4, 9, 2, "UINT2", "distributed"), (64, 7, 1, 7, 4, "UINT4", "block")),
        *((32, 3, 2, 1, 4, "UINT4", "block"), (16, 3, 4, 3, 4, "UINT4", "distributed")),
        *((256, 3, 1, 1, 4, "UINT4", "distributed"), (32, 3, 1, 9, 8, "UINT8", "distributed")),
        *((16, 3, 8, 3, 2, "UINT2", "distributed"), (64, 3, 4, 1, 4, "INT4", "block")),
        *((32, 3, 4, 1, 8, "UINT8", "distributed"), (64, 3, 1, 3, 6, "UINT6", "block")),
        (16, 3, 4, 3, 8, "INT8", "distributed"),
    ],
    "MVAU": [  # mw, mh, pe, simd, w, x, style
        *((64, 64, 4, 4, 4, "INT4", "block"), (64, 64, 8, 4, 4, "UINT4", "block")),
        *((32, 32, 4, 8, 4, "UINT4", "distributed"), (27, 16, 2, 3, 4, "INT8", "distributed")),
        *((32, 32, 8, 4, 2, "UINT2", "distributed"), (27, 64, 4, 9, 4, "INT8", "block")),
        *((128, 64, 4, 2, 4, "INT4", "block"), (64, 64, 2, 8, 8, "UINT8", "block")),
        *((128, 128, 2, 2, 4, "INT4", "distributed"), (32, 32, 4, 4, 8, "INT8", "distributed")),
        *((64, 64, 4, 8, 2, "INT2", "block"), (64, 128, 4, 4, 4, "UINT4", "distributed")),
        *((64, 64, 1, 8, 4, "INT4", "block"), (64, 64, 8, 2, 8, "INT8", "block")),
        *((128, 32, 1, 1, 4, "UINT4", "block"), (64, 64, 4, 16, 4, "UINT4", "block")),
        *((32, 32, 8, 2, 4, "UINT4", "distributed"), (64, 64, 16, 4, 4, "INT4", "block")),
    ],
}
