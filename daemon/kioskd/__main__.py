"""`python -m kioskd`: the same as the command `kioskd`."""

import sys

from kioskd.cli import main

sys.exit(main())
