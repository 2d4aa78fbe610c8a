"""PyTorch and PEFT's side of lora.ts. head "all": transformers' own loss over every row; "scored": only scored rows reach the head."""

import time

import peft
import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM

from child import peak_bytes, serve
from packs import read_packs


def open_side(setup):
    torch.set_num_threads(setup["threads"])
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(setup["folder"], dtype=torch.float32, attn_implementation="sdpa")
    lora = setup["lora"]
    model = peft.get_peft_model(
        base,
        peft.LoraConfig(
            r=lora["rank"], lora_alpha=lora["alpha"], lora_dropout=0.0, target_modules=lora["targets"], task_type="CAUSAL_LM"
        ),
    )
    model.train()
    model.config.use_cache = False
    trained = [p for p in model.parameters() if p.requires_grad]
    initial = [p.detach().clone() for p in trained]
    adamw, batch = setup["adamw"], setup["batch"]
    tokens, targets = read_packs(setup["packs"])
    targets[targets < 0] = -100

    def loss_of(ids, labels):
        if setup["head"] == "all":
            return model(input_ids=ids, labels=labels, shift_labels=labels, use_cache=False).loss
        scored = labels >= 0
        rows = base.model(input_ids=ids, use_cache=False).last_hidden_state[scored]
        return F.cross_entropy(base.lm_head(rows), labels[scored])

    def turn(_):
        with torch.no_grad():
            for p, value in zip(trained, initial, strict=True):
                p.copy_(value)
        optimizer = torch.optim.AdamW(
            trained,
            lr=adamw["lr"],
            betas=(adamw["beta1"], adamw["beta2"]),
            eps=adamw["eps"],
            weight_decay=adamw["weight_decay"],
            fused=True,
        )
        first = None
        for i in range(setup["steps"]):
            if i == setup["warmup"]:
                start = time.perf_counter()
            at = slice(i * batch, (i + 1) * batch)
            loss = loss_of(tokens[at], targets[at])
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trained, adamw["clip"])
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            first = loss.item() if first is None else first
        seconds = time.perf_counter() - start
        steps = setup["steps"] - setup["warmup"]
        return {"seconds": seconds, "work": steps * batch * tokens.shape[1], "firstLoss": first, "peakBytes": peak_bytes()}

    return {"parameters": sum(p.numel() for p in trained), "torch": torch.__version__, "peft": peft.__version__}, turn


serve(open_side)
