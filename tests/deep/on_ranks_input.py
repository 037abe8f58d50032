"""What `test_coupling` runs on two ranks about their input; imports no TensorFlow by itself."""

from __future__ import annotations

import numpy as np

from sparkml_dist.dataset.block import Block
from sparkml_dist.deep.input.inputs import InputPart, InputSpec
from sparkml_dist.deep.input.pipeline import BatchStream, EpochStreams
from sparkml_dist.deep.input.plan import lanes_of, plan_epoch, rank_batch

BATCH, LANES, EPOCHS = 24, 12, 2
GROUPS = [[150, 37], [201], [8, 99, 110]]  # 605 rows: 26 steps, the last one of 5 rows
VOCABULARY = 7
INPUTS = InputSpec(
    (
        InputPart("tall", (0, 1, 2), (3,)),
        InputPart("shop", (3,), (), "int32"),
        InputPart("image", (4, 5, 6, 7), (2, 2, 1)),
    )
)


def read(shard, row_groups):
    """Return rows that are a function of where they lie."""
    (group,) = row_groups
    rng = np.random.default_rng((shard, group))
    rows = GROUPS[shard][group]
    X = rng.normal(size=(rows, 8)).astype(np.float32)
    X[:, 3] = rng.integers(0, VOCABULARY, rows)
    y = ((X[:, 0] + X[:, 4] + (X[:, 3] > 3)) > 0.5).astype(np.int32)
    weight = rng.uniform(0.2, 3.0, rows).astype(np.float32)
    return Block(X, y, weight, np.arange(rows))


def network():
    from sparkml_dist.deep.backend.with_horovod import keras

    keras.utils.set_random_seed(5)
    layers = keras.layers
    inputs = {
        "tall": keras.Input((3,), name="tall"),
        "shop": keras.Input((), dtype="int32", name="shop"),
        "image": keras.Input((2, 2, 1), name="image"),
    }
    together = layers.Concatenate()(
        [
            layers.Dense(8, activation="tanh")(inputs["tall"]),
            layers.Embedding(VOCABULARY, 4)(inputs["shop"]),
            layers.Flatten()(layers.Conv2D(3, 2, activation="relu")(inputs["image"])),
        ]
    )
    model = keras.Model(inputs, layers.Dense(2, activation="softmax")(together))
    model.compile(keras.optimizers.SGD(0.1), loss="sparse_categorical_crossentropy")
    model.optimizer.build(model.trainable_variables)
    return model


def losses(rank, ranks, reduce=None):
    """Train and return the loss of every step."""
    from sparkml_dist.deep.backend.with_horovod import tf
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.deep.train.loop import tensors

    model = network()
    if reduce is None:
        coupling = Coupling(model)
        coupling.broadcast()
    else:
        Coupling(model, reduce=reduce)
    step = tf.function(model.train_step, autograph=False)

    def stream(epoch, start_step):
        plan = plan_epoch(GROUPS, lanes=LANES, batch_size=BATCH, seed=1, epoch=epoch)
        return BatchStream(
            read,
            plan,
            lanes_of(rank, ranks, LANES),
            8,
            INPUTS,
            start_step=start_step,
            batch_size=rank_batch(plan, ranks),
        )

    found = []
    with EpochStreams(stream, EPOCHS) as streams:
        for epoch in range(EPOCHS):
            with streams(epoch) as batches:
                found += [float(step(tensors(b, lambda b: (b.x, b.y)))) for b in batches]
    return found, [w.tolist() for w in model.get_weights()]


def run(context):
    """Return the loss curve and weights of this gang."""
    return {"together": losses(context.rank, context.size), "shared": sharing()}


def alone():
    """Return those of one rank at the same global batch."""
    from sparkml_dist.deep.train.reduction import reduce_alone

    return losses(0, 1, reduce=reduce_alone)


def sharing():
    """Tell whether tensors share the memory of arrays, and whether those outlive their owner."""
    from sparkml_dist.deep.input.batches import aligned_empty
    from sparkml_dist.deep.train.loop import as_tensor

    array = aligned_empty((16, 4), np.float32)
    array[:] = 1.0
    tensor = as_tensor(array)
    array[0, 0] = 5.0
    shares = float(tensor[0, 0]) == 5.0
    del array
    aligned_empty((16, 4), np.float32)[:] = 7.0
    kept = float(tensor[1, 1]) == 1.0
    odd = np.arange(33, dtype=np.float32)[1:]
    constant = np.arange(4)
    constant.flags.writeable = False
    copies = [as_tensor(a).numpy().tolist() for a in (odd, constant, np.float32(3))]
    return [shares, kept, copies == [odd.tolist(), [0, 1, 2, 3], 3.0]]
