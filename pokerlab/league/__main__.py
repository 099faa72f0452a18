"""``python -m pokerlab.league``."""

import sys

if __name__ == "__main__":
    try:
        from pokerlab.league.command import run

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
