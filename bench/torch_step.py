"""PyTorch's sides of train-step.ts: the same Llama, AdamW and clipping, eager or compiled."""

import time

import torch
import torch.nn.functional as F
from torch import nn

from child import peak_bytes, serve


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, self.heads, self.kv, self.width = c["hiddenSize"], c["heads"], c["kvHeads"], c["headDim"]
        self.eps = c["rmsEps"]
        self.gain_attention = nn.Parameter(torch.ones(d))
        self.gain_ffn = nn.Parameter(torch.ones(d))
        self.q = nn.Linear(d, self.heads * self.width, bias=False)
        self.k = nn.Linear(d, self.kv * self.width, bias=False)
        self.v = nn.Linear(d, self.kv * self.width, bias=False)
        self.o = nn.Linear(self.heads * self.width, d, bias=False)
        self.gate = nn.Linear(d, c["ffnSize"], bias=False)
        self.up = nn.Linear(d, c["ffnSize"], bias=False)
        self.down = nn.Linear(c["ffnSize"], d, bias=False)

    def forward(self, x, cos, sin):
        B, T, _ = x.shape

        def heads(y, n):
            return y.view(B, T, n, self.width).transpose(1, 2)

        def rope(y):
            a, b = y.chunk(2, -1)
            return torch.cat((a * cos - b * sin, b * cos + a * sin), -1)

        h = F.rms_norm(x, (x.shape[-1],), self.gain_attention, self.eps)
        q, k, v = rope(heads(self.q(h), self.heads)), rope(heads(self.k(h), self.kv)), heads(self.v(h), self.kv)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=self.kv != self.heads)
        x = x + self.o(y.transpose(1, 2).reshape(B, T, -1))
        h = F.rms_norm(x, (x.shape[-1],), self.gain_ffn, self.eps)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, c, positions):
        super().__init__()
        self.eps = c["rmsEps"]
        self.embedding = nn.Embedding(c["vocabSize"], c["hiddenSize"])
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["layers"]))
        self.gain = nn.Parameter(torch.ones(c["hiddenSize"]))
        half = c["headDim"] // 2
        angles = torch.outer(torch.arange(positions), c["ropeTheta"] ** (-torch.arange(half) / half))
        self.register_buffer("cos", angles.cos())
        self.register_buffer("sin", angles.sin())
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.normal_(p, std=0.02)

    def forward(self, ids):
        x = self.embedding(ids)
        for block in self.blocks:
            x = block(x, self.cos, self.sin)
        return F.rms_norm(x, (x.shape[-1],), self.gain, self.eps) @ self.embedding.weight.T


def open_side(setup):
    config, length = setup["config"], setup["context"]
    torch.set_num_threads(setup["threads"])
    torch.manual_seed(0)
    model = Llama(config, length)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    ids = torch.randint(0, config["vocabSize"], (setup["packs"], length + 1))
    inputs, targets = ids[:, :-1].contiguous(), ids[:, 1:].flatten()

    def loss_of(inputs, targets):
        return F.cross_entropy(model(inputs).flatten(0, 1), targets)

    if setup["compile"]:
        loss_of = torch.compile(loss_of, dynamic=False)

    def step():
        loss = loss_of(inputs, targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss

    def turn(_):
        for _ in range(setup["warmup"]):
            loss = step()
        steps = setup["steps"] - setup["warmup"]
        start = time.perf_counter()
        for _ in range(steps):
            loss = step()
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "work": steps * targets.numel(), "loss": loss.item(), "peakBytes": peak_bytes()}

    step()  # Compiles, or says that it cannot.
    return {"parameters": sum(p.numel() for p in model.parameters()), "torch": torch.__version__}, turn


serve(open_side)
