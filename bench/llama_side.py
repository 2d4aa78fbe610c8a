"""llama.cpp's side of sample.ts: the same weights as a 32-bit GGUF file, all prompts decoded as one batch of sequences."""

import os
import time

import gguf
import llama_cpp as llama
import numpy as np
from safetensors.numpy import load_file

from child import peak_bytes, serve

BLOCK_NAMES = {
    "input_layernorm": "attn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def interleaved(weight, heads):
    """Rows of a head reordered from Hugging Face's halves to the pairs that llama.cpp rotates."""
    out, width = weight.shape
    return weight.reshape(heads, 2, out // heads // 2, width).swapaxes(1, 2).reshape(out, width)


def write_gguf(file, folder, c):
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(c["maxPositions"])
    writer.add_embedding_length(c["hiddenSize"])
    writer.add_block_count(c["layers"])
    writer.add_feed_forward_length(c["ffnSize"])
    writer.add_head_count(c["heads"])
    writer.add_head_count_kv(c["kvHeads"])
    writer.add_rope_dimension_count(c["headDim"])
    writer.add_rope_freq_base(c["ropeTheta"])
    writer.add_layer_norm_rms_eps(c["rmsEps"])
    writer.add_vocab_size(c["vocabSize"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_tokenizer_model("no_vocab")
    for name, tensor in load_file(f"{folder}/model.safetensors").items():
        if name == "model.embed_tokens.weight":
            name = "token_embd.weight"
        elif name == "model.norm.weight":
            name = "output_norm.weight"
        else:
            _, _, layer, kind = name.removesuffix(".weight").split(".", 3)
            if kind.endswith(("q_proj", "k_proj")):
                tensor = interleaved(tensor, c["heads"] if kind.endswith("q_proj") else c["kvHeads"])
            name = f"blk.{layer}.{BLOCK_NAMES[kind]}.weight"
        writer.add_tensor(name, np.ascontiguousarray(tensor))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fill(batch, places, logits_of):
    """places: (token, position, sequence)."""
    for i, (token, position, sequence) in enumerate(places):
        batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, position, 1, sequence
        batch.logits[i] = logits_of(i)
    batch.n_tokens = len(places)


def open_side(setup):
    file = os.path.join(setup["folder"], "model.gguf")
    write_gguf(file, setup["folder"], setup["config"])
    prompts, new = setup["prompts"], setup["newTokens"]
    total = sum(len(p) for p in prompts)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(file.encode(), llama.llama_model_default_params())
    params = llama.llama_context_default_params()
    params.n_ctx = total + len(prompts) * new
    params.n_batch = params.n_ubatch = total
    params.n_seq_max = len(prompts)
    params.n_threads = params.n_threads_batch = setup["threads"]
    # llama.cpp's defaults, the fastest: flash attention on a cache of 16-bit numbers, a stream of it a sequence.
    params.kv_unified = False
    context = llama.llama_init_from_model(model, params)
    vocab = setup["config"]["vocabSize"]
    batch = llama.llama_batch_init(total, 0, 1)

    def turn(request):
        random = np.random.default_rng(0)

        def choose(rows):
            logits = np.stack([np.ctypeslib.as_array(llama.llama_get_logits_ith(context, row), (vocab,)) for row in rows])
            if request["temperature"] > 0:
                logits = logits / request["temperature"] + random.gumbel(size=logits.shape).astype(np.float32)
            return logits.argmax(-1).tolist()

        def decode():
            if llama.llama_decode(context, batch) != 0:
                raise RuntimeError("llama_decode failed")

        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        start = time.perf_counter()
        ends = np.cumsum([len(p) for p in prompts]) - 1
        last = set(ends.tolist())
        fill(batch, [(t, i, s) for s, p in enumerate(prompts) for i, t in enumerate(p)], lambda i: i in last)
        decode()
        tokens = [[t] for t in choose(ends.tolist())]
        for step in range(new - 1):
            fill(batch, [(r[-1], len(p) + step, s) for s, (p, r) in enumerate(zip(prompts, tokens, strict=True))], lambda _: True)
            decode()
            for response, token in zip(tokens, choose(range(len(prompts))), strict=True):
                response.append(token)
        seconds = time.perf_counter() - start
        return {"seconds": seconds, "work": len(tokens) * new, "tokens": tokens, "peakBytes": peak_bytes()}

    return {"llama-cpp-python": llama.__version__}, turn


serve(open_side)
