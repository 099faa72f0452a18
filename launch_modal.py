"""Submits a run and returns at once.

    python launch_modal.py experiment=phase1              # on a GPU on Modal
    python launch_modal.py experiment=leduc launcher=local  # detached, on this machine
    python launch_modal.py -m experiment=leduc seed=1,2,3   # one run each

It prints the run's name and how to follow, stop and fetch it.
"""

import sys

from pokerlab.console import run_command_of

if __name__ == "__main__":
    sys.exit(run_command_of("launch", sys.argv[1:]))
