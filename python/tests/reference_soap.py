"""SOAP of one parameter in float64 after its paper (arXiv 2409.11321, Alg. 3 and 4), the first moment kept as the gradients are."""

import torch


class PlainSoap:
    """`sides` are those that are rotated; only matrices decay."""

    def __init__(self, weights, sides, lr, betas, eps, weight_decay, frequency):
        self.w = weights.double().clone()
        self.m, self.v = torch.zeros_like(self.w), torch.zeros_like(self.w)
        self.lr, (self.beta1, self.beta2), self.eps, self.frequency = lr, betas, eps, frequency
        self.decay = weight_decay if self.w.dim() == 2 else 0.0
        self.factors = {side: torch.zeros(self.w.shape[side], self.w.shape[side], dtype=torch.float64) for side in sides}
        self.bases = {}

    def rotated(self, x, back=False):
        for side, q in self.bases.items():
            q = q.T if back else q
            x = q.T @ x if side == 0 else x @ q
        return x

    def step(self, t, gradient):
        """t from 0: the first changes no weight."""
        g = gradient.double()
        if t > 0:
            self.m = self.beta1 * self.m + (1 - self.beta1) * g
            self.v = self.beta2 * self.v + (1 - self.beta2) * self.rotated(g) ** 2
            corrected = self.rotated(self.m) / (1 - self.beta1**t)
            root = (self.v.sqrt() + self.eps) / (1 - self.beta2**t) ** 0.5
            self.w = (self.w - self.lr * self.rotated(corrected / root, back=True)) * (1 - self.lr * self.decay)
        for side in self.factors:
            square = g @ g.T if side == 0 else g.T @ g
            self.factors[side] = self.beta2 * self.factors[side] + (1 - self.beta2) * square
            if t == 0:
                self.bases[side] = torch.linalg.eigh(self.factors[side])[1].flip(1)
            elif t % self.frequency == 0:
                image = self.factors[side] @ self.bases[side]
                order = (self.bases[side] * image).sum(0).argsort(descending=True)
                self.bases[side] = torch.linalg.qr(image[:, order])[0]
                self.v = self.v.index_select(side, order)
