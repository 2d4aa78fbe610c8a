"""Two processes with FSDP2: the losses of one process, all tensors in every checkpoint, and the same bits after a kill."""

import json
import signal

import pytest
import torch
from peft import PeftModel
from processes import Running, train
from safetensors.torch import load_file
from small import LORA, events_of, losses_of
from transformers import AutoModelForCausalLM

FSDP = {"fsdp": True}
SIDES = {"max_precond_dim": 4096, "one_sided_above": 512}
METHODS = {
    "full": {},
    "lora": {"method": "lora", "lora": LORA},
    # Of the embedding one side is rotated, of the other matrices both.
    "soap": {"optimizer": "soap", "precondition_frequency": 3, "max_precond_dim": 48, "one_sided_above": 48, "beta2": 0.95},
    "lora-soap": {"method": "lora", "lora": LORA, "optimizer": "soap", "precondition_frequency": 2, **SIDES},
}
STEPS = 30
# A gradient of few tokens has no rank in many directions: what SOAP's basis is there, and so its update, rounding decides.
# That two processes compute one process's SOAP, test_optimizers.py shows on gradients of full rank.
CLOSE = {"full": 1e-4, "lora": 1e-4, "soap": 0.05, "lora-soap": 0.05}


@pytest.fixture(scope="module")
def whole(lab):
    """Each method's training without a break, two processes, checkpoints at 10 and the end."""
    done = {}

    def of(method: str):
        if method not in done:
            recipe = {**METHODS[method], "steps": STEPS}
            done[method] = train(lab.job(f"whole-{method}", recipe=recipe, torch=FSDP, checkpoints=[10, STEPS]), world=2)
        return done[method]

    return of


@pytest.mark.parametrize("method", METHODS)
def test_two_processes_have_the_losses_of_one(lab, whole, method):
    recipe = {**METHODS[method], "steps": STEPS}
    alone = train(lab.job(f"alone-{method}", recipe=recipe, checkpoints=[STEPS]))
    two, one = losses_of(whole(method)), losses_of(alone)
    assert len(two) == len(one) == STEPS
    assert max(abs(a - b) for a, b in zip(two, one)) < CLOSE[method]
    assert one[-1] < one[0] - 0.05
    [start] = events_of(whole(method), "start")
    assert (start["distributed"], start["world"]) == ("fsdp2", 2)
    assert events_of(alone, "start")[0]["distributed"] == "none"


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_training_goes_on_with_the_same_bits(lab, whole, method):
    job = lab.job(f"killed-{method}", recipe={**METHODS[method], "steps": STEPS}, torch=FSDP, checkpoints=[10, STEPS], save_every=4)
    running = Running(job, world=2)
    running.until_step(18)
    running.send(signal.SIGKILL)
    running.wait(expected=-signal.SIGKILL)
    work = train(job, world=2)
    assert [event["step"] for event in events_of(work, "start")][1] in (16, 20, 24, 28)
    for step in (10, STEPS):
        ours, theirs = work / f"checkpoint-{step}", whole(method) / f"checkpoint-{step}"
        for name in ("adapter_model.safetensors" if "lora" in method else "model.safetensors", "metrics.jsonl"):
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), (step, name)
        assert shards(ours) == shards(theirs)


def shards(folder):
    """Hashes of the sharded weights and moments."""
    files = json.loads((folder / "torch-state" / "manifest.json").read_text())["files"]
    found = {name: facts["sha256"] for name, facts in files.items() if name.endswith(".distcp")}
    assert len(found) == 2
    return found


def test_a_model_checkpoint_has_every_tensor_and_opens_in_transformers(lab, whole):
    folder = whole("full") / f"checkpoint-{STEPS}"
    model = AutoModelForCausalLM.from_pretrained(folder)
    began = load_file(lab.model / "model.safetensors")
    tensors = load_file(folder / "model.safetensors")
    assert tensors.keys() == began.keys() and len(tensors) == 20
    assert all(tensors[name].shape == began[name].shape and not torch.equal(tensors[name], began[name]) for name in began)
    assert torch.equal(model.model.layers[1].mlp.up_proj.weight, tensors["model.layers.1.mlp.up_proj.weight"])
    config = json.loads((folder / "config.json").read_text())
    assert config["torch_dtype"] == "float32" and config["rope_theta"] == 10000 and config["rope_scaling"] is None
    assert "rope_parameters" not in config and "dtype" not in config
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        assert (folder / name).read_bytes() == (lab.model / name).read_bytes()


def test_an_adapter_has_every_tensor_and_peft_opens_it(lab, whole):
    folder = whole("lora") / f"checkpoint-{STEPS}"
    tensors = load_file(folder / "adapter_model.safetensors")
    assert len(tensors) == 2 * 2 * len(LORA["targets"])
    assert all(tensor.abs().max() > 0 for tensor in tensors.values())
    base = AutoModelForCausalLM.from_pretrained(lab.model)
    opened = PeftModel.from_pretrained(base, folder)
    state = {name.replace(".default", ""): value for name, value in opened.state_dict().items() if "lora_" in name}
    assert state.keys() == tensors.keys()
    assert all(torch.equal(state[name], tensors[name]) for name in tensors)
    assert json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"] == str(lab.model)


@pytest.mark.parametrize("method", ["full", "soap"])
def test_a_state_goes_on_in_another_number_of_processes(lab, whole, method):
    given = str(whole(method) / "checkpoint-10")
    job = lab.job(f"fewer-{method}", recipe={**METHODS[method], "steps": STEPS}, checkpoints=[STEPS], resume_from=given)
    work = train(job)
    assert events_of(work, "start")[0]["step"] == 10
    assert any("2 processes" in event["message"] for event in events_of(work, "note"))
    late = losses_of(whole(method))[10:]
    assert max(abs(a - b) for a, b in zip(losses_of(work), late, strict=True)) < CLOSE[method]


@pytest.mark.parametrize(
    "settings",
    [{"gradient_checkpointing": True}, {"cpu_offload": True}, {"micro_batch": 1}],
    ids=["gradient_checkpointing", "cpu_offload", "micro_batch"],
)
def test_how_it_is_computed_changes_no_loss(lab, whole, settings):
    recipe = {**METHODS["lora"], "steps": STEPS}
    name = "-".join(settings)
    work = train(lab.job(f"how-{name}", recipe=recipe, torch={**FSDP, **settings}, checkpoints=[3]), world=2)
    assert max(abs(a - b) for a, b in zip(losses_of(work), losses_of(whole("lora")))) < 1e-5
    assert len(load_file(work / "checkpoint-3" / "adapter_model.safetensors")) == 20


def test_more_processes_than_packs_and_an_untied_head(lab):
    recipe = {"batch": 3, "steps": 6}
    alone = train(lab.job("uneven-alone", model=lab.untied, recipe=recipe))
    two = train(lab.job("uneven-two", model=lab.untied, recipe=recipe, torch=FSDP), world=2)
    one_pack = train(lab.job("one-pack", model=lab.untied, recipe={"batch": 1, "steps": 3}, torch=FSDP, checkpoints=[3]), world=2)
    assert max(abs(a - b) for a, b in zip(losses_of(alone), losses_of(two), strict=True)) < 1e-5
    assert len(losses_of(one_pack)) == 3
    assert "lm_head.weight" in load_file(one_pack / "checkpoint-3" / "model.safetensors")


@pytest.mark.parametrize("method", ["full", "lora"])
def test_bfloat16_has_float32_masters_and_exports_bfloat16(lab, whole, method):
    recipe = {**METHODS[method], "steps": STEPS}
    job = lab.job(f"half-{method}", recipe=recipe, torch={**FSDP, "dtype": "bfloat16"}, checkpoints=[4, STEPS])
    work = train(job, world=2)
    assert max(abs(a - b) for a, b in zip(losses_of(work), losses_of(whole(method)))) < 0.1
    file = "model.safetensors" if method == "full" else "adapter_model.safetensors"
    assert {t.dtype for t in load_file(work / f"checkpoint-{STEPS}" / file).values()} == {torch.bfloat16}
    again = train({**job, "checkpoints": [STEPS], "work_dir": str(work) + "-again", "resume_from": str(work / "checkpoint-4")}, world=2)
    assert losses_of(again) == losses_of(work)[4:]
