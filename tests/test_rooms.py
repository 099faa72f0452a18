"""Imports point one way, from the commands down to the games (docs/architecture.md)."""

import pytest
from importlinter.cli import lint_imports
from runs.harness import ROOT


def test_no_room_imports_from_above(capsys: pytest.CaptureFixture[str]) -> None:
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out
