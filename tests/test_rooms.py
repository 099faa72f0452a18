"""Imports point one way, from the commands down to the games (docs/architecture.md)."""

import subprocess
import sys

from runs.harness import ROOT

LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def test_no_room_imports_from_above() -> None:
    # in a process of its own: it switches off the loggers that there are
    linted = subprocess.run(
        [sys.executable, "-c", LINT], cwd=ROOT, check=False, capture_output=True, text=True
    )
    assert linted.returncode == 0, linted.stdout
