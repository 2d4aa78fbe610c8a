"""transformers' side of sample.ts: one batch of prompts of equal length, key-value cache, every response of full length."""

import time

import torch
import transformers
from transformers import AutoModelForCausalLM, CompileConfig

from child import peak_bytes, serve


def open_side(setup):
    torch.set_num_threads(setup["threads"])
    model = AutoModelForCausalLM.from_pretrained(setup["folder"], dtype=torch.float32, attn_implementation="sdpa").eval()
    prompts = torch.tensor(setup["prompts"])
    new = setup["newTokens"]
    length = {"max_new_tokens": new, "min_new_tokens": new, "eos_token_id": None, "pad_token_id": 0}
    if setup["compile"]:
        length["cache_implementation"] = "static"
        length["compile_config"] = CompileConfig(mode="default", dynamic=False)
        # Its name for: on CPU too.
        length["compile_config"]._compile_all_devices = True

    @torch.inference_mode()
    def turn(request):
        temperature = request["temperature"]
        how = {"do_sample": False} if temperature == 0 else {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        torch.manual_seed(0)
        start = time.perf_counter()
        out = model.generate(prompts, attention_mask=torch.ones_like(prompts), **length, **how)
        seconds = time.perf_counter() - start
        tokens = out[:, prompts.shape[1] :].tolist()
        return {"seconds": seconds, "work": len(tokens) * len(tokens[0]), "tokens": tokens, "peakBytes": peak_bytes()}

    turn({"temperature": 0})
    return {"transformers": transformers.__version__}, turn


serve(open_side)
