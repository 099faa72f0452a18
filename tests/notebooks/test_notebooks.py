"""The notebooks run from top to bottom, and say what the commands say."""

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient
from nbclient.util import run_sync
from nbformat.v4 import new_code_cell, new_notebook

from pokerlab.evaluation.report import read_evaluation
from pokerlab.store.folder import shipped_runs

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
NAMES = ("evaluation", "explore_a_spot", "holdem", "league")
SECONDS = 240
"""That a notebook may take: many times what it needs."""


def read(name: str) -> Any:
    """A notebook as it is committed."""
    notebook = nbformat.read(NOTEBOOKS / f"{name}.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


def cells(notebook: Any) -> list[Any]:
    """Those with code."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def execute(notebook: Any, kernel: Any = None) -> Any:
    """Executes a notebook: in a kernel, or a new one; returns that."""
    client = NotebookClient(
        notebook,
        timeout=SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(NOTEBOOKS)}},
        **({} if kernel is None else {"km": kernel}),
    )
    try:
        client.execute(cleanup_kc=False)
    finally:
        if client.kc is not None:
            client.kc.stop_channels()
    return client.km


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One for all, for imports take seconds; it neither reads nor writes what the user has of Jupyter."""
    place = tmp_path_factory.mktemp("profile")
    with pytest.MonkeyPatch.context() as patch:
        for folder in ("IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR"):
            patch.setenv(folder, str(place / folder.lower()))
        started = execute(new_notebook())  # type: ignore[no-untyped-call]
        yield started
        run_sync(started.shutdown_kernel)(now=True)


def run(kernel: Any, name: str, **constants: int) -> tuple[str, int]:
    """Executes a notebook, some of its constants changed: what it printed, and how many pictures it showed.

    Fails if a cell raises, or anything is written to stderr, as warnings are.
    """
    execute(new_notebook(cells=[new_code_cell("%reset -f")]), kernel)  # type: ignore[no-untyped-call]
    notebook, started = read(name), time.perf_counter()
    first = cells(notebook)[0]
    for constant, value in constants.items():
        first.source, found = re.subn(
            rf"^{constant} = [\d_]+", f"{constant} = {value}", first.source, flags=re.M
        )
        assert found == 1
    execute(notebook, kernel)
    assert time.perf_counter() - started < SECONDS
    outputs = [output for cell in cells(notebook) for output in cell.outputs]
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []
    shown = [output.data for output in outputs if "data" in output]
    text = [output.text for output in outputs if output.output_type == "stream"]
    text += [data["text/plain"] for data in shown if "image/png" not in data]
    assert not any("<Figure" in each for each in text)
    return "\n".join(text), sum("image/png" in data for data in shown)


@pytest.mark.parametrize("name", NAMES)
def test_no_outputs_are_committed(name: str) -> None:
    committed = cells(read(name))
    assert committed
    for cell in committed:
        assert cell.outputs == []
        assert cell.execution_count is None
        assert cell.metadata == {}


def test_all_notebooks_are_here() -> None:
    assert sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb")) == sorted(NAMES)


def test_the_evaluation_agrees_with_the_command(kernel: Any) -> None:
    text, pictures = run(kernel, "evaluation", DEALS=200)
    assert pictures == 5
    compared = re.findall(r"(\w+): ([\d.]+) here, ([\d.]+) in evaluation.json", text)
    # rounding errors grow along iterations: another machine's search is not quite the one that was stored
    apart = {"policy_net": 0.001, "search_iteration": 0.5, "search_average": 0.2, "search_gadget": 0.2}
    assert [name for name, *_ in compared] == list(apart)
    for name, here, there in compared:
        assert float(here) == pytest.approx(float(there), rel=apart[name])
    exploitability = {name: float(of) for name, of in re.findall(r"(\w+) +exploitability (\d\.\d+),", text)}
    assert exploitability["equilibrium"] < 0.001
    for name in ("search_iteration", "search_gadget"):
        assert exploitability[name] < exploitability["search_average"] < exploitability["policy_net"]
    bounds = re.findall(r"(\w+) +local best response wins ([\d.]+), a best response ([\d.]+)", text)
    assert len(bounds) == 7
    for _, bound, exact in bounds:
        assert float(bound) <= float(exact)


def test_the_evaluation_leaves_the_run_as_it_was() -> None:
    example = shipped_runs()["leduc"]
    assert example.evaluation.exists()
    assert not example.plots.exists()


def test_a_spot_is_solved(kernel: Any) -> None:
    text, pictures = run(kernel, "explore_a_spot")
    assert pictures == 8
    found = re.findall(r"(\w+): ([\d,]+) public .* exploitability ([\d.e-]+) % of the pot, (EV .*)", text)
    river, turn = found
    assert (river[0], turn[0], turn[1]) == ("river", "turn", "1,893")
    assert float(river[2]) < 0.5
    assert float(turn[2]) <= 0.5
    for *_, values in found:
        first, second, pot = (float(n.replace(",", "")) for n in re.findall(r"[\d,]*\d(?:\.\d+)?", values))
        assert first + second == pytest.approx(pot, rel=1e-3)
    assert re.search(r"a bluff of 6,700 into 6,600 needs 50.4% folds", text)


def test_the_holdem_agent_is_shown(kernel: Any) -> None:
    text, pictures = run(kernel, "holdem", ITERATIONS=10, DEALS=2)
    assert pictures == 5
    assert "hunl-laptop: hunl, 60 iterations of training" in text
    matches = read_evaluation(shipped_runs()["hunl-laptop"].evaluation)["matches"]
    assert matches
    for match in matches:
        assert f"{' against '.join(match['agents'])}, {match['deals']} deals: {match['mbb']:,.0f} ±" in text


def test_a_league_is_grown(kernel: Any) -> None:
    text, pictures = run(kernel, "league", ROUNDS=20, HANDS=200, DEALS=50)
    assert pictures == 5
    psro, xdo = re.search(r"exploitability: ([\d.]+) after 20 rounds of PSRO, ([\d.]+) after", text).groups()  # type: ignore[union-attr]
    assert 0 < float(xdo) < 0.001 < float(psro) < 3
    assert len(re.search(r"by round, chips: \[(.*)\]", text)[1].split(",")) == 4  # type: ignore[index]
