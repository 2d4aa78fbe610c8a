"""SOAP on given gradients: plainly and in float64 after its paper (arXiv 2409.11321, Alg. 3 and 4), and by pytorch-optimizer."""

import torch
from pytorch_optimizer import SOAP


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


class Plain:
    """One parameter. The first moment stays as the gradients are, and is rotated when it is used, as in the paper."""

    def __init__(self, weights, lr, betas, eps, weight_decay, frequency, limit):
        self.w = torch.tensor(weights, dtype=torch.float64)
        self.m, self.v = torch.zeros_like(self.w), torch.zeros_like(self.w)
        self.lr, (self.beta1, self.beta2), self.eps, self.frequency = lr, betas, eps, frequency
        self.decay = weight_decay if self.w.dim() == 2 else 0.0
        self.sides = [side for side, size in enumerate(self.w.shape) if self.w.dim() == 2 and size <= limit]
        self.factors = {side: torch.zeros(self.w.shape[side], self.w.shape[side], dtype=torch.float64) for side in self.sides}
        self.bases = {}

    def rotated(self, x, back=False):
        for side, q in self.bases.items():
            q = q.T if back else q
            x = q.T @ x if side == 0 else x @ q
        return x

    def step(self, t, gradient):
        g = torch.tensor(gradient, dtype=torch.float64)
        if t > 0:
            self.m = self.beta1 * self.m + (1 - self.beta1) * g
            self.v = self.beta2 * self.v + (1 - self.beta2) * self.rotated(g) ** 2
            corrected = self.rotated(self.m) / (1 - self.beta1**t)
            root = (self.v.sqrt() + self.eps) / (1 - self.beta2**t) ** 0.5
            self.w = (self.w - self.lr * self.rotated(corrected / root, back=True)) * (1 - self.lr * self.decay)
        for side in self.sides:
            square = g @ g.T if side == 0 else g.T @ g
            self.factors[side] = self.beta2 * self.factors[side] + (1 - self.beta2) * square
            if t == 0:
                self.bases[side] = torch.linalg.eigh(self.factors[side])[1].flip(1)
            elif t % self.frequency == 0:
                image = self.factors[side] @ self.bases[side]
                order = (self.bases[side] * image).sum(0).argsort(descending=True)
                self.bases[side] = torch.linalg.qr(image[:, order])[0]
                self.v = self.v.index_select(side, order)


def plain(weights, gradients, **options):
    parameters = [Plain(w, **options) for w in weights]
    history = []
    for t, step in enumerate(gradients):
        for parameter, gradient in zip(parameters, step):
            parameter.step(t, gradient)
        history.append([parameter.w.tolist() for parameter in parameters])
    return history
