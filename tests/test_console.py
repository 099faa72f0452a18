"""What cannot be printed costs no result."""

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs.harness import ROOT

from pokerlab.console import console, say


def test_letters_that_the_encoding_lacks_are_spelled_out(monkeypatch: pytest.MonkeyPatch) -> None:
    content = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(content, encoding="ascii"))
    say("1.5 ± 0.2 chips², ▁█ – 🂡")
    console(width=40).print("3 × 4 → 12")
    assert content.getvalue() == b"1.5 +- 0.2 chips^2, _# - ?\n3 x 4 -> 12\n"


def test_a_reader_that_went_away_ends_nothing(tmp_path: Path) -> None:
    script = (
        "import sys; from pokerlab.console import console, say\n"
        "for _ in range(3):\n"
        "    say('x' * 100_000)\n"
        "    say('x' * 100_000, error=True)\n"
        "    console().print('y' * 1_000)\n"
        "open('after', 'w').close()"
    )
    reading, writing = os.pipe()
    os.close(reading)
    ended = subprocess.run(
        [sys.executable, "-c", script], stdout=writing, stderr=writing, cwd=tmp_path, check=False,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    os.close(writing)
    assert ended.returncode == 0
    assert (tmp_path / "after").exists()


def test_a_full_disk_is_told() -> None:
    with Path("/dev/full").open("w") as full, pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "stdout", full)
        with pytest.raises(OSError, match="No space left"):
            say("x")
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
