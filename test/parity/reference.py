"""The reference side of the parity tests: a JSON list of commands on stdin, a JSON list of their results on stdout."""

import json
import sys
from datetime import datetime

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from soap import soap

torch.set_num_threads(1)


class PinnedDay(datetime):
    """The day that templates are told it is (src/model/chat.ts)."""

    @classmethod
    def now(cls):
        return datetime(2024, 7, 26)


chat_template_utils.datetime = PinnedDay


def make_model(folder, config, dtype, seed, scale, max_shard_size="5GB"):
    """Writes a model with random weights, as save_pretrained does. Without a model_type it is a Llama."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(**{"model_type": "llama", **config}))
    for name, parameter in model.named_parameters():
        # Norm gains near 1, the rest large enough for clear preferences.
        gain = parameter.dim() == 1 and not name.endswith(".bias")
        torch.nn.init.normal_(parameter, mean=1.0 if gain else 0.0, std=scale)
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=max_shard_size)
    return None


def make_tokenizer(folder, kind, texts, vocab_size, specials, eos, chat_template, split_pattern):
    """Trains a tokenizer with Python `tokenizers` and writes it with `transformers`; returns its vocabulary and merges."""
    if kind in ("bytes", "composed", "digits"):
        tokenizer = Tokenizer(models.BPE())
        if kind == "composed":  # Qwen
            tokenizer.normalizer = normalizers.NFC()
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(split_pattern), behavior="isolated"),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        if kind == "digits":  # SmolLM2
            tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
                [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
            )
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        byte_tokens = []
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
        special_tokens=specials + byte_tokens,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    if byte_tokens:  # byte tokens are part of the vocabulary, not special
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


def logits(folder, prompts):
    """Logits of the next token after each prompt, in float32 whatever the folder holds."""
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return {
            "logits": [model(torch.tensor([prompt]), logits_to_keep=1).logits[0, -1].tolist() for prompt in prompts],
            "class": type(model).__name__,
        }


def tokenize(folder, texts, chats):
    """Ids of each text, its special tokens recognised or taken as ordinary characters, and what apply_chat_template makes of each chat."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    day = {"date_string": "26 Jul 2024"}
    full = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
    return {
        "full": full,
        "plain": [tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"] for text in texts],
        "decoded": [tokenizer.decode(ids, skip_special_tokens=True) for ids in full],
        "eos": tokenizer.eos_token_id,
        "size": len(tokenizer),
        "chats": [
            {
                "closed": tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=False, **day),
                "open": tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True, **day),
                "ids": tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False, **day),
            }
            for messages in chats
        ],
    }


def base_model(folder):
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")


def make_adapter(base, folder, seed, lora, dtype):
    """Writes an adapter with random A and B, as peft's save_pretrained does."""
    torch.manual_seed(seed)
    model = get_peft_model(base_model(base), LoraConfig(task_type="CAUSAL_LM", **lora))
    for name, parameter in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(parameter, std=0.3)
            parameter.data = parameter.data.to(getattr(torch, dtype))
    model.save_pretrained(folder)
    return None


def resave_adapter(base, folder, out):
    """Opens an adapter with peft and saves it again."""
    PeftModel.from_pretrained(base_model(base), folder).save_pretrained(out)
    return None


def adapter_logprobs(base, folder, prompts):
    """Log-probabilities of the next token after each prompt, the adapter beside the weights."""
    model = PeftModel.from_pretrained(base_model(base), folder).eval()
    with torch.no_grad():
        return [torch.log_softmax(model(torch.tensor([prompt])).logits[0, -1], dim=-1).tolist() for prompt in prompts]


def train_adapter(base, folder, steps, optimizer, clip):
    """Losses of AdamW from an adapter on."""
    model = PeftModel.from_pretrained(base_model(base), folder, is_trainable=True)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    return train(model, [{"params": trained}], steps, optimizer, clip, lambda step: optimizer["lr"])


def train_model(folder, steps, optimizer, clip, rates):
    """Losses of AdamW on all weights, at one learning rate a step; gains do not decay."""
    model = base_model(folder)
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    gains = [parameter for parameter in model.parameters() if parameter.dim() == 1]
    groups = [{"params": matrices}, {"params": gains, "weight_decay": 0.0}]
    return train(model, groups, steps, optimizer, clip, lambda step: rates[step])


def train(model, groups, steps, optimizer, clip, rate):
    """Each step is a list of documents, [tokens, targets], -1 where nothing is scored."""
    trained = [parameter for group in groups for parameter in group["params"]]
    adamw = torch.optim.AdamW(groups, **optimizer)
    losses = []
    for step, documents in enumerate(steps):
        for group in adamw.param_groups:
            group["lr"] = rate(step)
        scored = sum(target >= 0 for _, targets in documents for target in targets)
        loss = sum(
            torch.nn.functional.cross_entropy(
                model(torch.tensor([tokens])).logits[0], torch.tensor(targets), ignore_index=-1, reduction="sum"
            )
            for tokens, targets in documents
        )
        loss = loss / scored
        adamw.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, clip)
        adamw.step()
        losses.append(loss.item())
    return {"losses": losses, "parameters": sum(parameter.numel() for parameter in trained)}


commands = {
    command.__name__: command
    for command in [
        make_model,
        make_tokenizer,
        forward,
        logits,
        tokenize,
        make_adapter,
        resave_adapter,
        adapter_logprobs,
        train_adapter,
        train_model,
        soap,
    ]
}
results = [commands[command.pop("do")](**command) for command in json.load(sys.stdin)]
json.dump(results, sys.stdout)
