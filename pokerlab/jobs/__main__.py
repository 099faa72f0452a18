"""``python -m pokerlab.jobs``."""

import sys

if __name__ == "__main__":
    try:
        from pokerlab.jobs.command import run

        run(sys.argv[1:])
    except KeyboardInterrupt:
        sys.exit(130)
