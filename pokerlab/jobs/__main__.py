"""``python -m pokerlab.jobs``."""

import sys

from pokerlab.jobs.command import run

if __name__ == "__main__":
    run(sys.argv[1:])
