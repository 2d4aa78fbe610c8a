"""lm-eval's side of the MMLU tests: a JSON request on stdin, prompts and log-probabilities on stdout. Reads no network."""

import json
import os
import sys
from functools import cache
from pathlib import Path

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TRANSFORMERS_VERBOSITY="error")

import lm_eval.tasks
import torch
from datasets import Dataset
from lm_eval.api.instance import Instance
from lm_eval.api.task import ConfigurableTask
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks._yaml_loader import load_yaml

torch.set_num_threads(1)
folder = Path(lm_eval.tasks.__file__).parent / "mmlu"


def task_of(variant, subject, rows, shots):
    """The published task of a subject, its data replaced by rows of ours."""
    suffix = "" if variant == "default" else f"_{variant}"
    config = load_yaml(folder / variant / f"mmlu_{subject}.yaml")
    assert config["task"] == f"mmlu_{subject}{suffix}", config["task"]
    data = {"test": Dataset.from_list(rows), "dev": Dataset.from_list(shots)}
    task = ConfigurableTask(config={**config, "custom_dataset": lambda **_: data})
    task.set_fewshot_seed(0)
    return task


def contexts(task, count, **chat):
    """Of each test row its context, and the continuations that are scored after it (none where text is generated)."""
    out = []
    for doc in task.test_docs():
        context = task.fewshot_context(doc, count, **chat)
        instances = task.construct_requests(doc, context, metadata=("", 0, 1), apply_chat_template=bool(chat))
        scored = isinstance(instances, list)
        out.append({"context": context, "continuations": [i.args[1] for i in instances] if scored else []})
    return out


def as_messages(messages, add_generation_prompt):
    assert add_generation_prompt
    return json.dumps(messages)


def prompts(subjects, shots):
    """Every form with options that lm-eval has, by variant, number of shots and form."""
    chats = {
        "text": {},
        "chat": {"apply_chat_template": True, "fewshot_as_multiturn": True, "chat_template": as_messages},
    }
    return {
        f"{variant}, {count}, {form}": [
            row
            for subject in subjects
            for row in contexts(task_of(variant, subject["name"], subject["rows"], subject["dev"]), count, **chat)
        ]
        for variant in ("default", "generative")
        for count in shots
        for form, chat in chats.items()
    }


@cache
def model_of(model):
    return HFLM(pretrained=model, tokenizer=model, device="cpu", dtype="float32", batch_size=1)


def logprobs(model, pairs):
    """What lm-eval computes for contexts and their continuations, by transformers."""
    instances = [
        Instance(request_type="loglikelihood", doc={}, arguments=(context, continuation), idx=i)
        for i, (context, continuation) in enumerate(pairs)
    ]
    return [float(logprob) for logprob, _ in model_of(model).loglikelihood(instances, disable_tqdm=True)]


def chat_logprobs(model, chats, letters):
    """Log-probabilities of letters as the first token of the answer to a chat, by transformers alone."""
    lm = model_of(model)
    ids = [lm.tokenizer.encode(letter, add_special_tokens=False) for letter in letters]
    assert all(len(one) == 1 for one in ids), ids
    out = []
    with torch.no_grad():
        for messages in chats:
            prompt = lm.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
            last = torch.log_softmax(lm.model(torch.tensor([prompt])).logits[0, -1], dim=-1)
            out.append([last[one[0]].item() for one in ids])
    return out


commands = {"prompts": prompts, "logprobs": logprobs, "chat_logprobs": chat_logprobs}
request = json.load(sys.stdin)
results = [commands[command.pop("do")](**command) for command in request]
json.dump(results, sys.stdout)
