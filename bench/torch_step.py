"""PyTorch eager's side of bench/train-step.ts: the same Llama, AdamW and clipping; reads `<steps>` a line, answers with seconds a step."""

import json
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


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


def main():
    config, packs, length, threads = (json.loads(a) for a in sys.argv[1:5])
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = Llama(config, length)
    matrices = [p for p in model.parameters() if p.dim() > 1]
    gains = [p for p in model.parameters() if p.dim() == 1]
    groups = [{"params": matrices, "weight_decay": 0.01}, {"params": gains, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), fused=True)
    ids = torch.randint(0, config["vocabSize"], (packs, length + 1))
    print(json.dumps({"parameters": sum(p.numel() for p in model.parameters()), "torch": torch.__version__}), flush=True)
    for line in sys.stdin:
        seconds = []
        for _ in range(int(line)):
            start = time.perf_counter()
            logits = model(ids[:, :-1])
            loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            seconds.append(time.perf_counter() - start)
        print(json.dumps({"seconds": seconds, "loss": loss.item()}), flush=True)


main()
