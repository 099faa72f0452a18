"""Compiled loops that are kept on disk."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CALLER = """
from inlined import add
from pokerlab.loops import jit

@jit
def twice(number):
    return add(add(number))

if __name__ == "__main__":
    print(twice(1), sum(twice.stats.cache_hits.values()))
"""
INLINED = "from pokerlab.loops import jit{}\n\n@jit{}\ndef add(number):\n    return number + {}\n"


@pytest.mark.parametrize("kind", ["", "_inline"])
def test_a_caller_is_compiled_anew_when_what_it_calls_has_changed(kind: str, tmp_path: Path) -> None:
    """It stands in another file, which numba does not look at."""
    (tmp_path / "caller.py").write_text(CALLER)
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path / "cache"),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def run(step: int) -> str:
        (tmp_path / "inlined.py").write_text(INLINED.format(kind, kind, step))
        os.utime(tmp_path / "inlined.py", (step, step))
        done = subprocess.run(
            [sys.executable, "caller.py"],
            cwd=tmp_path,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return done.stdout

    assert [run(10), run(10), run(1000), run(1000)] == ["21 0\n", "21 1\n", "2001 0\n", "2001 1\n"]
