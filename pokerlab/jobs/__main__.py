"""``python -m pokerlab.jobs``."""

import signal
import sys

from pokerlab.jobs.command import main

signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # quiet under `| head`
sys.exit(main(sys.argv[1:]))
