"""README and docs name files, commands, options and config keys that exist."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf
from runs.harness import ROOT

from pokerlab.cli import PLAIN
from pokerlab.config.command import check_overrides
from pokerlab.config.compose import compose, parse
from pokerlab.play_acpc import as_overrides

PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")]
PRIMARY = {
    "train": "train",
    "launch_modal": "train",
    "launch": "train",
    "solve": "solve",
    "evaluate": "evaluate",
    "play_acpc": "play_acpc",
}
"""The primary configs of the commands that take overrides."""
STANDS_FOR = {
    "seed=SEED": "seed=1",
    "play_throughs=K": "play_throughs=100",
    "HOST": "localhost",
    "PORT": "18791",
}


def code_of(page: Path) -> Iterator[str]:
    """The lines of code blocks without a language, and code within the text."""
    text = page.read_text()
    for block in re.findall(r"^```\n(.*?)^```", text, re.M | re.S):
        yield from block.replace("\\\n", " ").splitlines()
    prose = re.sub(r"^(```|:::).*?^\1", "", text, flags=re.M | re.S)
    yield from (code.replace("\n", " ") for code in re.findall(r"`([^`]+)`", prose))


COMMANDS = {
    " ".join(words): words
    for page in PAGES
    for code in code_of(page)
    if re.match(r"(pokerlab|make|python) \S", code) and "…" not in code
    for words in [shlex.split(code, comments=True)]
}
"""What a reader may type."""


def keys(config: DictConfig, above: str = "") -> set[str]:
    """All keys of a config, with dots."""
    found = set()
    for key in map(str, config):
        found.add(f"{above}{key}")
        node = None if OmegaConf.is_missing(config, key) else config[key]
        if isinstance(node, DictConfig):
            found |= keys(node, f"{above}{key}.")
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_the_pages_have_commands() -> None:
    assert len(COMMANDS) > 60


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_can_be_typed(command: list[str]) -> None:
    program, *words = command
    if program == "make":
        assert set(words) <= set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.M))
        return
    if program == "python" and words[0] == "-m":
        module, *words = words[1:]
    elif program == "python":
        module, *words = words[0].removesuffix(".py"), *words[1:]
    elif words == ["upi"]:
        module, *words = PLAIN["upi"], *words[1:]
    else:
        module, *words = f"pokerlab.{words[0].replace('-', '_')}", *words[1:]
    found = importlib.util.find_spec(module)
    assert found, module
    assert found.origin
    name = module.rpartition(".")[2]
    if name == "league" and words[0] == "run":
        words = words[1:]
        check_overrides(name, [STANDS_FOR.get(word, word) for word in words])
        return
    if name == "play_acpc":
        words = as_overrides([STANDS_FOR.get(word, word) for word in words])
    if name in PRIMARY:
        if "DIR" not in words:  # the reader's own
            check_overrides(PRIMARY[name], [STANDS_FOR.get(word, word) for word in words])
        return
    text = "".join(path.read_text() for path in Path(found.origin).parent.glob("*.py"))
    if name in ("jobs", "league"):
        assert f'"{words[0]}"' in text
    options = [word.removeprefix("--") for word in words if word.startswith("--")]
    assert [option for option in options if not re.search(rf'\b{option}["=]', text)] == []


def test_config_keys_exist() -> None:
    groups = {path.name for path in (ROOT / "conf").iterdir() if path.is_dir()}
    composed = {
        "train": (
            ["experiment=phase1", "logger=wandb"],
            ["experiment=liars_dice_1x4f", "launcher=slurm", "actors=ray"],
            ["experiment=leduc_deep_cfr"],
            ["experiment=leduc_ppo"],
        ),
        "solve": ([], ["game=fhp"], ["game=kuhn3"]),
        "evaluate": (["run=x", "solver=dcfr"],),
        "play_acpc": (["host=x", "port=1", "agent=call"],),
        "league": (
            ["weigh=correlated", "evaluate=matches", "select=best"],
            ["propose=policy_gradient", "measure=lbr"],
            ["propose=population_based"],
            ["propose=training", "members=jobs"],
        ),
    }
    configs = [compose(parse(name, []), words) for name, each in composed.items() for words in each]
    known = groups.union(*(keys(OmegaConf.create(config)) for config in configs))
    form = r"[a-z_]+(\.[a-z_]+)*=\S*|[a-z_]+(\.[a-z_]+)+(?<!\.json)(?<!\.jsonl)"
    named = {
        (page.name, code.partition("=")[0])
        for page in PAGES
        for code in code_of(page)
        if re.fullmatch(form, code)
    }
    named = {(page, key) for page, key in named if "." not in key or key.partition(".")[0] in groups}
    assert len(named) > 50
    assert {(page, key) for page, key in named if key not in known} == set()
