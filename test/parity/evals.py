"""What Inspect, pyarrow and transformers make of an evaluation: a JSON command on stdin, its result on stdout."""

import json
import sys

import jsonschema
import pyarrow.parquet
import torch
from inspect_ai.log import EvalLog, list_eval_logs, read_eval_log
from lm_eval.utils import make_table
from transformers import AutoModelForCausalLM, AutoTokenizer

torch.set_num_threads(1)


def inspect_logs(folder):
    """Every log that Inspect finds, read by its reader and checked against the JSON schema of its log."""
    schema = EvalLog.model_json_schema()
    logs = {}
    for info in list_eval_logs(folder):
        log = read_eval_log(info)
        with open(info.name.removeprefix("file://")) as file:
            jsonschema.validate(json.load(file), schema)
        logs[log.eval.task] = {
            "status": log.status,
            "completed": log.results.completed_samples,
            "metrics": {name: metric.value for name, metric in log.results.scores[0].metrics.items()},
            "samples": [
                {
                    "id": sample.id,
                    "completion": sample.output.completion,
                    "scores": None if sample.scores is None else {k: v.value for k, v in sample.scores.items()},
                    "error": None if sample.error is None else sample.error.message,
                }
                for sample in log.samples
            ],
        }
    return logs


def lm_eval_table(file):
    """The table that lm-eval prints of its own results."""
    with open(file) as results:
        return make_table(json.load(results))


def parquet(file):
    table = pyarrow.parquet.read_table(file)
    return {"columns": {field.name: str(field.type) for field in table.schema}, "rows": table.to_pylist()}


def letters(folder, prompts, spaced):
    """Log-probabilities of the four letters after each prompt, which has its special tokens already."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    results = []
    for prompt in prompts:
        ids = tokenizer(prompt, add_special_tokens=False).input_ids
        row = []
        for letter in "ABCD":
            if spaced:
                choice = tokenizer(f"{prompt} {letter}", add_special_tokens=False).input_ids[len(ids) :]
            else:
                choice = tokenizer(letter, add_special_tokens=False).input_ids
            with torch.no_grad():
                logits = model(torch.tensor([ids + choice])).logits[0].log_softmax(-1)
            row.append(sum(logits[len(ids) - 1 + i, token].item() for i, token in enumerate(choice)))
        results.append(row)
    return results


def make_llama(folder, texts):
    """A Llama of about 1M random parameters with its tokenizer, as transformers writes both; it adds `<s>` to texts."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=2048,
        special_tokens=["<s>", "</s>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 0)])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    fast.chat_template = (
        "{{ bos_token }}{% for m in messages %}[{{ m['role'] }}] {{ m['content'] }}{{ eos_token }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant] {% endif %}"
    )
    fast.save_pretrained(folder)
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=len(fast),
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=2048,
        bos_token_id=0,
        eos_token_id=1,
    )
    model = LlamaForCausalLM(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.08)
    model.save_pretrained(folder)
    return sum(parameter.numel() for parameter in model.parameters())


commands = {
    "inspect_logs": inspect_logs,
    "lm_eval_table": lm_eval_table,
    "parquet": parquet,
    "letters": letters,
    "make_llama": make_llama,
}
command = json.load(sys.stdin)
print(json.dumps(commands[command.pop("do")](**command)))
