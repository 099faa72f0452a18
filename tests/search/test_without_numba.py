"""Where numba cannot be imported, or can keep nothing on disk, one line says so and everything works."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pokerlab.search.solver import Solver

SOLVE = """
import sys, torch
from pokerlab.games.holdem import Holdem
from pokerlab.games.leduc import Leduc
from pokerlab.search.forest import Forest
from pokerlab.search.solver import Solver
from pokerlab.search.tree import build_tree

endgame = Holdem("endgame", board="4c5d3h4d", pot=20, stack=10, ranks=4, suits=3, bets=[[1]], blinds=(1, 2))
values = []
for game in (Leduc(), endgame):
    forest = Forest(game, [build_tree(game, game.root(), depth_limited=False)], dtype=torch.float64)
    belief = torch.as_tensor(game.initial_beliefs)[:, None] * forest.root_possible
    belief /= belief.sum(-1, keepdim=True)
    cfr = Solver("dcfr", alternating=False, backend=sys.argv[2]).start(forest, belief).run(20)
    values.append(cfr.exploitability().exploitability)
torch.save(values, sys.argv[1])
"""


def solve(folder: Path, backend: str = "auto", **environment: str) -> tuple[Tensor, str]:
    """What :data:`SOLVE` finds, and what it says. Modules in ``folder`` are found before others."""
    done = subprocess.run(
        [sys.executable, "-c", SOLVE, str(folder / "found.pt"), backend],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])} | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return torch.cat(torch.load(folder / "found.pt")), done.stdout + done.stderr


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Tensor:
    """From compiled loops."""
    found, said = solve(tmp_path_factory.mktemp("compiled"), "compiled")
    assert not said
    return found


def test_without_numba_one_line_says_so_and_tensors_solve(tmp_path: Path, expected: Tensor) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('no module of that name')\n")
    found, said = solve(tmp_path)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)
    assert said == (
        "numba cannot be imported: solving is many times slower without compiled loops "
        "(no module of that name)\n"
    )


def test_without_numba_compiled_loops_cannot_be_asked_for(tmp_path: Path) -> None:
    (tmp_path / "numba.py").write_text("raise ImportError('no module of that name')\n")
    with pytest.raises(subprocess.CalledProcessError) as raised:
        solve(tmp_path, "compiled")
    assert (
        "ValueError: backend=compiled needs numba and the CPU or a GPU as its device: numba is not there"
        in (raised.value.stderr)
    )


NO_ROOM = """
from numba.core import caching

def refuse(self):
    raise OSError("read-only")

caching._CacheLocator.ensure_cache_path = refuse

from pokerlab.games.kuhn import Kuhn
from pokerlab.search.tree import build_tree
import pokerlab.search.backends.compiled

game = Kuhn()
print(len(build_tree(game, game.root(), depth_limited=False).decisions))
"""


def test_where_no_folder_can_be_written_to_one_line_says_so() -> None:
    """An installation and a home that are read-only: to the tests' user, nothing may be."""
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "4\n"
    assert done.stderr == (
        "numba can keep its compiled loops in no folder: every start compiles them (NUMBA_CACHE_DIR)\n"
    )


def test_a_cache_folder_that_cannot_be_made_changes_nothing(tmp_path: Path, expected: Tensor) -> None:
    (tmp_path / "file").touch()
    found, _ = solve(tmp_path, NUMBA_CACHE_DIR=str(tmp_path / "file" / "cache"))
    assert torch.equal(found, expected)


def test_backends_have_names() -> None:
    with pytest.raises(ValueError, match=r"^backend must be one of auto, compiled, tensors, got 'numba'"):
        Solver(backend="numba")
