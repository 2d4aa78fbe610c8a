"""Reads the packs file that the lab writes (src/engine/packs.ts)."""

import numpy as np
import torch


def read_packs(file):
    """tokens and targets [packs, T], int64; a place that is not scored has target -1."""
    magic = np.fromfile(file, dtype="S8", count=1)[0]
    assert magic == b"SLPACKS1", file
    length, count = (int(n) for n in np.fromfile(file, dtype="<u4", count=2, offset=8))
    packs = torch.from_numpy(np.fromfile(file, dtype="<i4", offset=16).reshape(count, 3, length))
    return packs[:, 0].long().contiguous(), packs[:, 2].long().contiguous()
