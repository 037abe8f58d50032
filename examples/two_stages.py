"""Train one network in two stages, each held by a group of ranks.

Ranks 0 … k-1 hold the first half of a network and ranks k … 2k-1 the second: model parallelism
from stage to stage, data parallelism inside a stage. Rank i of the first stage works with rank k+i:

    rows ─▶ stage 1, rank i ──activations──▶ stage 2, rank k+i ─▶ loss
                    ◀──their gradients──

Horovod's process sets carry it: one for each pair, in which activations and gradients travel, and
one for each stage, in which the gradients of its weights are averaged. No rank holds the whole
network. Run it with four slots:

    spark-submit --master 'local[4]' examples/two_stages.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sparkml_dist.cluster.gang import RankContext, run_gang
from sparkml_dist.session import get_session

WIDTH, HIDDEN, CLASSES = 20, 16, 3
BATCH, STEPS = 32, 60


def batch(rank: int, step: int) -> tuple[Any, Any]:
    """Return the rows (BATCH, WIDTH) and classes (BATCH,) that a pair trains on in a step."""
    rng = np.random.default_rng((rank, step))
    x = rng.normal(size=(BATCH, WIDTH)).astype(np.float32)
    y = (x[:, 0] > 0).astype(np.int32) + (x[:, 1] > 0)
    return x, y


def first_stage() -> Any:
    """Return the first half, from rows to activations of HIDDEN numbers."""
    import keras

    layers = [keras.layers.Dense(32, activation="tanh"), keras.layers.Dense(HIDDEN)]
    return keras.Sequential([keras.Input((WIDTH,)), *layers])


def second_stage() -> Any:
    """Return the second half, from activations to logits."""
    import keras

    layers = [keras.layers.Activation("tanh"), keras.layers.Dense(CLASSES)]
    return keras.Sequential([keras.Input((HIDDEN,)), *layers])


def train(context: RankContext, steps: int) -> dict[str, Any]:
    """Train this rank's stage; return the losses that its pair saw and the stage's weights."""
    import horovod.tensorflow as hvd
    import keras
    import tensorflow as tf

    pairs_of_ranks = context.size // 2
    stages = [hvd.ProcessSet(range(s * pairs_of_ranks, (s + 1) * pairs_of_ranks)) for s in (0, 1)]
    pairs = [hvd.ProcessSet([i, pairs_of_ranks + i]) for i in range(pairs_of_ranks)]
    hvd.init(process_sets=[*stages, *pairs])
    number, place = divmod(context.rank, pairs_of_ranks)
    stage, pair = stages[number], pairs[place]
    first, second = place, pairs_of_ranks + place

    keras.utils.set_random_seed(number)  # the ranks of a stage begin alike
    model = first_stage() if number == 0 else second_stage()
    optimizer = keras.optimizers.SGD(0.5)
    optimizer.build(model.trainable_variables)
    loss_of = keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def update(gradients: list[Any]) -> None:
        if stage.size() > 1:
            gradients = hvd.grouped_allreduce(gradients, op=hvd.Average, process_set=stage)
        optimizer.apply(gradients, model.trainable_variables)

    def step_of_first(x: Any) -> Any:
        with tf.GradientTape() as tape:
            activations = model(x, training=True)
        hvd.broadcast(activations, root_rank=first, process_set=pair)
        back = hvd.broadcast(tf.zeros_like(activations), root_rank=second, process_set=pair)
        values = [v.value for v in model.trainable_variables]
        update(tape.gradient(activations, values, output_gradients=back))
        return tf.constant(0.0)

    def step_of_second(y: Any) -> Any:
        empty = tf.zeros((len(y), HIDDEN))
        activations = hvd.broadcast(empty, root_rank=first, process_set=pair)
        with tf.GradientTape() as tape:
            tape.watch(activations)
            loss = loss_of(y, model(activations, training=True))
        values = [v.value for v in model.trainable_variables]
        back, *gradients = tape.gradient(loss, [activations, *values])
        hvd.broadcast(back, root_rank=second, process_set=pair)
        update(gradients)
        return loss

    losses = []
    for step in range(steps):
        x, y = batch(place, step)
        loss = step_of_first(tf.constant(x)) if number == 0 else step_of_second(tf.constant(y))
        losses.append(float(loss))
    weights = [v.numpy().tolist() for v in model.trainable_variables]
    # The first rank to leave ends the exchanges of all others: wait for the slower stage.
    hvd.allreduce(tf.constant(0.0))
    hvd.shutdown()
    return {"stage": number, "losses": losses, "weights": weights}


def main() -> None:
    """Run two stages of two ranks each."""
    results = run_gang(get_session(), 4, train, STEPS, description="two stages")
    losses = np.mean([r.value["losses"] for r in results if r.value["stage"] == 1], axis=0)
    print(f"loss {losses[0]:.3f} in the first step, {losses[-1]:.3f} in step {STEPS}")


if __name__ == "__main__":
    main()
