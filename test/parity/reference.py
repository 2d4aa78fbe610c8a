"""The reference side of the parity tests: a JSON list of commands on stdin, a JSON list of their results on stdout."""

import json
import sys

import torch
from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

torch.set_num_threads(1)


def make_model(folder, config, dtype, seed, scale, max_shard_size="5GB"):
    """Writes a LlamaForCausalLM with random weights, as save_pretrained does."""
    torch.manual_seed(seed)
    model = LlamaForCausalLM(LlamaConfig(**config))
    for parameter in model.parameters():
        # Norm gains near 1, the rest large enough for clear preferences.
        torch.nn.init.normal_(parameter, mean=1.0 if parameter.dim() == 1 else 0.0, std=scale)
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=max_shard_size)
    return None


def make_tokenizer(folder, kind, texts, vocab_size, specials, eos, chat_template, split_pattern):
    """Trains a tokenizer with Python `tokenizers` and writes it with `transformers`; returns its vocabulary and merges."""
    if kind == "bytes":
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(split_pattern), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:  # Llama 2: words marked by U+2581, a space before the first only, bytes for unknown characters
        byte_tokens = [f"<0x{byte:02X}>" for byte in range(256)]
        tokenizer = Tokenizer(models.BPE(unk_token=specials[0], fuse_unk=True, byte_fallback=True))
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
        tokenizer.decoder = decoders.Sequence(
            [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
        )
        alphabet = []
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=2,
        special_tokens=specials if kind == "bytes" else specials + byte_tokens,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if kind != "bytes":  # byte tokens are part of the vocabulary, not special
        plain = json.loads(tokenizer.to_str())
        plain["added_tokens"] = [token for token in plain["added_tokens"] if token["content"] in specials]
        tokenizer = Tokenizer.from_str(json.dumps(plain))
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=eos, pad_token=specials[0], clean_up_tokenization_spaces=False
    )
    fast.chat_template = chat_template
    fast.save_pretrained(folder)
    model = json.loads(tokenizer.to_str())["model"]
    return {"vocab": model["vocab"], "merges": [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]}


def forward(folder, prompts, greedy):
    """Log-probabilities of the next token after each prompt, and `greedy` tokens of each prompt's greedy continuation."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    logprobs, continuations = [], []
    with torch.no_grad():
        for prompt in prompts:
            ids = torch.tensor([prompt])
            logprobs.append(torch.log_softmax(model(ids).logits[0, -1], dim=-1).tolist())
            out = model.generate(ids, attention_mask=torch.ones_like(ids), max_new_tokens=greedy, do_sample=False)
            continuations.append(out[0, len(prompt) :].tolist())
    return {
        "logprobs": logprobs,
        "continuations": continuations,
        "parameters": sum(p.numel() for p in model.parameters()),
        "class": type(model).__name__,
    }


def tokenize(folder, texts, chats):
    """Ids of each text, its special tokens recognised or taken as ordinary characters, and what apply_chat_template makes of each chat."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    full = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return {
        "full": full,
        "plain": [tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] for text in texts],
        "decoded": [tokenizer.decode(ids, skip_special_tokens=True) for ids in full],
        "eos": tokenizer.eos_token_id,
        "size": len(tokenizer),
        "chats": [
            {
                "closed": tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False),
                "open": tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True),
                "ids": tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False),
            }
            for messages in chats
        ],
    }


commands = {"make_model": make_model, "make_tokenizer": make_tokenizer, "forward": forward, "tokenize": tokenize}
results = [commands[command.pop("do")](**command) for command in json.load(sys.stdin)]
json.dump(results, sys.stdout)
