"""SOAP on given gradients: plainly in float64 (python/tests/reference_soap.py), and by pytorch-optimizer."""

import sys
from pathlib import Path

import torch
from pytorch_optimizer import SOAP

sys.path.append(str(Path(__file__).parents[2] / "python" / "tests"))

from reference_soap import PlainSoap  # noqa: E402


def soap(weights, gradients, options):
    """
    Weights after each step, of both. `weights` is a list of matrices and vectors, `gradients` one such list a step. Only
    matrices decay. A side longer than `limit` is not rotated.
    """
    return {"plain": plain(weights, gradients, **options), "package": package(weights, gradients, **options)}


def package(weights, gradients, lr, betas, eps, weight_decay, frequency, limit):
    parameters = [torch.nn.Parameter(torch.tensor(w)) for w in weights]
    groups = [
        {"params": [p for p in parameters if p.dim() == 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    optimizer = SOAP(
        groups, lr=lr, betas=betas, eps=eps, precondition_frequency=frequency, max_precondition_dim=limit
    )
    history = []
    for step in gradients:
        for parameter, gradient in zip(parameters, step):
            parameter.grad = torch.tensor(gradient)
        optimizer.step()
        history.append([parameter.tolist() for parameter in parameters])
    return history


def plain(weights, gradients, limit, **options):
    def opened(values):
        weight = torch.tensor(values)
        sides = [side for side, size in enumerate(weight.shape) if weight.dim() == 2 and size <= limit]
        return PlainSoap(weight, sides, **options)

    parameters = [opened(w) for w in weights]
    history = []
    for t, step in enumerate(gradients):
        for parameter, gradient in zip(parameters, step):
            parameter.step(t, torch.tensor(gradient))
        history.append([parameter.w.tolist() for parameter in parameters])
    return history
