"""Makes finn importable without Vivado, its settings file or its log output."""

from __future__ import annotations

import functools
import logging
import os
import tempfile


@functools.cache
def prepare_finn() -> None:
    """Call before the first import of a finn transformation; later calls do nothing.

    finn wants a settings object, a build folder, and the names of its Vivado simulator bridge
    (`finn.xsi._LAZY_NAMES`), which exist only where Vivado does. Names that `verification.verilator.install`
    has bound stay.
    """
    os.environ.setdefault("FINN_BUILD_DIR", tempfile.mkdtemp(prefix="finn_build_"))
    from finn.util.settings import initialize_dummy_settings

    initialize_dummy_settings()
    import finn.xsi

    for name in finn.xsi._LAZY_NAMES - vars(finn.xsi).keys():
        setattr(finn.xsi, name, None)
    logging.getLogger("finn_logger").setLevel(logging.ERROR)
