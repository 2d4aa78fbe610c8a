"""TRL's side of sft.ts: from the JSON file to trained weights on disk with SFTTrainer, packing and loss on the response."""

import time

IMPORTING = time.perf_counter()

import json  # noqa: E402

import torch  # noqa: E402
import trl  # noqa: E402
from datasets import Dataset, disable_progress_bars  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer  # noqa: E402

from child import peak_bytes, serve  # noqa: E402

IMPORTED = time.perf_counter()


def conversation(row):
    return {
        "prompt": [{"role": "user", "content": row["instruction"]}],
        "completion": [{"role": "assistant", "content": row["output"]}],
    }


def open_side(setup):
    torch.set_num_threads(setup["threads"])
    disable_progress_bars()
    recipe = setup["recipe"]

    def turn(_):
        start = time.perf_counter()
        with open(setup["rows"], encoding="utf8") as file:
            rows = Dataset.from_list([conversation(row) for row in json.load(file)])
        # TRL's defaults are bfloat16, gradient checkpointing and logging: slower on this task, or not the same work.
        args = trl.SFTConfig(
            output_dir=setup["out"],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            packing=True,
            packing_strategy="bfd",
            completion_only_loss=True,
            max_length=setup["context"],
            eos_token=setup["endToken"],
            per_device_train_batch_size=setup["micro"],
            gradient_accumulation_steps=recipe["batch"] // setup["micro"],
            max_steps=recipe["steps"],
            optim="adamw_torch_fused",
            learning_rate=recipe["lr"],
            lr_scheduler_type=recipe["schedule"],
            warmup_steps=recipe["warmup"],
            weight_decay=recipe["weight_decay"],
            adam_beta1=recipe["beta1"],
            adam_beta2=recipe["beta2"],
            adam_epsilon=recipe["eps"],
            max_grad_norm=recipe["clip"],
            seed=setup["seed"],
            logging_strategy="no",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        model = AutoModelForCausalLM.from_pretrained(setup["model"], dtype=torch.float32, attn_implementation="sdpa")
        tokenizer = AutoTokenizer.from_pretrained(setup["model"])
        trainer = trl.SFTTrainer(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
        prepared = time.perf_counter()
        trainer.train()
        trained = time.perf_counter()
        trainer.save_model(setup["out"])
        packs, epochs = trainer.train_dataset, trainer.state.epoch
        return {
            "folder": setup["out"],
            "phases": {"import": IMPORTED - IMPORTING, "data": prepared - start, "train": trained - prepared},
            "epochs": epochs,
            "tokens": round(epochs * sum(len(ids) for ids in packs["input_ids"])),
            "scored": round(epochs * sum(label >= 0 for labels in packs["labels"] for label in labels)),
            "peakBytes": peak_bytes(),
        }

    return {"trl": trl.__version__, "torch": torch.__version__}, turn


serve(open_side)
