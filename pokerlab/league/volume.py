"""Members on Modal: what they need is sent to the Volume, what came of them fetched into the league."""

import io
import tempfile
from dataclasses import replace
from pathlib import Path

import torch

from pokerlab.config.schema import RunConfig
from pokerlab.config.stored import as_yaml
from pokerlab.jobs.launch import launch
from pokerlab.jobs.modal_app import RUNS
from pokerlab.jobs.places import FoundRun, modal_runs
from pokerlab.jobs.pull import pull
from pokerlab.league.budget import LAUNCHERS
from pokerlab.league.folder import LeagueFolder
from pokerlab.league.opponents import FOLDER, TABLE
from pokerlab.store.checkpoints import read_checkpoint
from pokerlab.store.folder import RunFolder

AT_A_GLANCE = ("config.yaml", "job.json", "summary.json")


def name_there(league: LeagueFolder, run: RunFolder) -> str:
    """What a member is called on the Volume, where all runs lie side by side."""
    return f"{league.path.resolve().name}-{run.path.name}"


def look(league: LeagueFolder, run: RunFolder) -> None:
    """Mirrors what says how far a member is, if it is on the Volume."""
    name = name_there(league, run)
    with tempfile.TemporaryDirectory() as folder:
        mirror = modal_runs().mirror(name, Path(folder), AT_A_GLANCE)
        if mirror.config.exists():
            run.path.mkdir(parents=True, exist_ok=True)
            for path in mirror.path.iterdir():
                path.replace(run.path / path.name)


def send(league: LeagueFolder, run: RunFolder, config: RunConfig) -> None:
    """Submits a member, new or begun, with whom it is trained against and what it goes on from."""
    name = name_there(league, run)
    config = replace(config, run_name=name, run_dir=None)
    if run.job.exists():  # it is on the Volume
        limits = {key: getattr(config.launcher, key) for key in LAUNCHERS.values()}
        given = [f"launcher.{key}={most}" for key, most in limits.items() if most is not None]
        launch(replace(config, resume_from=name), None, given)
        return
    sent = (TABLE, FOLDER, run.checkpoints.name, run.replay.name)
    files: dict[str, str | bytes] = {
        str(path.relative_to(run.path)): path.read_bytes()
        for path in run.path.rglob("*")
        if path.is_file() and path.relative_to(run.path).parts[0] in sent
    }
    if (opponent := Path(str(config.algorithm.get("opponent"))).name) in (TABLE, FOLDER):
        there = {"opponent": f"policy:{RUNS / name / opponent}"}
        config = replace(config, algorithm=config.algorithm | there)
    goes_on = run.config.exists()  # where the other was whose copy it is
    if goes_on:
        files[run.config.name] = as_yaml(config)
    elif config.start_from is not None:
        weights = io.BytesIO()
        torch.save(read_checkpoint(Path(config.start_from))["state_dict"], weights)
        files[str(run.first_weights.relative_to(run.path))] = weights.getvalue()
    modal_runs().write(name, files, replace=True)
    launch(replace(config, resume_from=name if goes_on else None), None, [])


def fetch(league: LeagueFolder, run: RunFolder) -> None:
    """Downloads a member that is done, with its checkpoints."""
    pull(FoundRun(name_there(league, run), run, modal_runs()), lambda *_: None, run)
