"""`python -m driver`."""

import sys

from driver.command import main

sys.exit(main())
