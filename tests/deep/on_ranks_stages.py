"""What `test_two_stages` runs on four ranks: the example, and one process on the whole batches."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "two_stages.py"
STEPS = 12


def example():
    spec = importlib.util.spec_from_file_location("two_stages", EXAMPLE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run(context):
    module = example()
    found = module.train(context, STEPS)
    return {**found, "wanted": alone(module, context.size // 2) if context.rank == 0 else None}


def alone(module, pairs):
    """Train the two halves as one network; return losses, and the weights of each half."""
    import keras

    halves = []
    for seed, half in enumerate((module.first_stage, module.second_stage)):
        keras.utils.set_random_seed(seed)
        halves.append(half())
    model = keras.Sequential([keras.Input((module.WIDTH,)), *halves])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(0.5), loss, jit_compile=False)
    losses = []
    for step in range(STEPS):
        parts = [module.batch(rank, step) for rank in range(pairs)]
        x, y = (np.concatenate([p[i] for p in parts]) for i in (0, 1))
        losses.append(float(model.train_on_batch(x, y)))
    return {
        "losses": losses,
        "weights": [[v.numpy().tolist() for v in h.trainable_variables] for h in halves],
    }
