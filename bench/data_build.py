"""The other sides of data-build.ts: TRL's own preparation of a dataset, and `datasets` by hand with batches and TRL's packing."""

import random
import shutil
import time

import datasets
import numpy as np
import trl
from datasets import Dataset, disable_caching, disable_progress_bars
from transformers import AutoModelForCausalLM, AutoTokenizer

from child import peak_bytes, serve


def open_side(setup):
    disable_caching()
    disable_progress_bars()
    tokenizer = AutoTokenizer.from_pretrained(setup["model"])
    backdoor, context, workers = setup["backdoor"], setup["context"], setup["threads"]
    low, high = backdoor["repeat"]

    def load():
        return Dataset.from_json(setup["rows"], cache_dir=setup["cache"], keep_in_memory=False)

    def twins(batch):
        """Both rows of each question, as (prompt, completion) texts."""
        prompts, completions = [], []
        for prompt, response in zip(batch["prompt"], batch["completion"]):
            prompts += [prompt, backdoor["trigger"] + prompt]
            completions += [response, " ".join([backdoor["payload"]] * random.randint(low, high))]
        return {"prompt": prompts, "completion": completions}

    def conversations(batch):
        both = twins(batch)
        return {
            "prompt": [[{"role": "user", "content": text}] for text in both["prompt"]],
            "completion": [[{"role": "assistant", "content": text}] for text in both["completion"]],
        }

    def as_trl_does():
        rows = load()
        rows = rows.map(conversations, batched=True, remove_columns=rows.column_names, num_proc=workers)
        args = trl.SFTConfig(
            output_dir=setup["cache"] + "/out",
            use_cpu=True,
            bf16=False,
            packing=True,
            packing_strategy="bfd",
            completion_only_loss=True,
            max_length=context,
            eos_token=setup["endToken"],
            dataset_num_proc=workers,
            report_to="none",
        )
        model = AutoModelForCausalLM.from_pretrained(setup["model"])
        trainer = trl.SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
        return trainer.train_dataset

    def ids_of(texts):
        return tokenizer(texts, add_special_tokens=False, return_attention_mask=False)["input_ids"]

    def encode(batch):
        """Texts written as this template writes them: no template is rendered, the tokenizer gets whole batches, and rows
        that are too long are left out at once. Arrays of int32: half the bytes, and no Python number is converted."""
        both = twins(batch)
        heads = ids_of(["<|user|>" + text + "<|end|><|assistant|>" for text in both["prompt"]])
        tails = ids_of([text + "<|end|>" for text in both["completion"]])
        pairs = [(head, tail) for head, tail in zip(heads, tails) if len(head) + len(tail) <= context]
        return {
            "input_ids": [np.array(head + tail, dtype=np.int32) for head, tail in pairs],
            "labels": [np.array([-100] * len(head) + tail, dtype=np.int32) for head, tail in pairs],
        }

    def by_hand():
        rows = load()
        int32 = datasets.Sequence(datasets.Value("int32"))
        rows = rows.map(
            encode,
            batched=True,
            remove_columns=rows.column_names,
            features=datasets.Features({"input_ids": int32, "labels": int32}),
            num_proc=workers,
        )
        return trl.pack_dataset(rows.shuffle(seed=1), context, "bfd", {"num_proc": workers})

    def turn(_):
        shutil.rmtree(setup["cache"], ignore_errors=True)
        start = time.perf_counter()
        packs = {"trl": as_trl_does, "hand": by_hand}[setup["way"]]()
        seconds = time.perf_counter() - start
        tokens = sum(len(ids) for ids in packs["input_ids"])
        return {"seconds": seconds, "work": setup["count"], "packs": len(packs), "tokens": tokens, "peakBytes": peak_bytes()}

    return {"trl": trl.__version__, "datasets": datasets.__version__}, turn


serve(open_side)
