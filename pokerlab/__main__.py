"""``python -m pokerlab COMMAND …`` is ``pokerlab COMMAND …``."""

import sys

from pokerlab.cli import main

sys.exit(main())
