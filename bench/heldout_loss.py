"""The judge of sft.ts: mean loss of the response's tokens on held-out rows, of any model folder, by transformers."""

import json

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

from child import serve


def open_side(setup):
    torch.set_num_threads(setup["threads"])
    with open(setup["rows"], encoding="utf8") as file:
        rows = json.load(file)

    @torch.inference_mode()
    def turn(request):
        model = AutoModelForCausalLM.from_pretrained(request["folder"], dtype=torch.float32).eval()
        tokenizer = AutoTokenizer.from_pretrained(request["folder"])
        total, count = 0.0, 0
        for row in rows:
            question = [{"role": "user", "content": row["instruction"]}]
            answer = [{"role": "assistant", "content": row["output"]}]
            prompt = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_dict=False)
            ids = torch.tensor([tokenizer.apply_chat_template(question + answer, return_dict=False)])
            logits = model(ids).logits[0, len(prompt) - 1 : -1]
            total += F.cross_entropy(logits, ids[0, len(prompt) :], reduction="sum").item()
            count += ids.shape[1] - len(prompt)
        return {"loss": total / count, "tokens": count}

    return {}, turn


serve(open_side)
