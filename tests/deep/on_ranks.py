"""What `test_coupling` runs in the processes of two ranks; imports no TensorFlow by itself."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from tests.deep import on_ranks_input

BATCH, FEATURES, CLASSES = 8, 5, 3
STEPS = 6
LAST_ROWS = (8, 3)  # of each rank in the last step


def run(context, _):
    from sparkml_dist.deep.train.horovod_threads import start_horovod
    from tests.deep import on_ranks_steps

    start_horovod()
    together = {
        "steps": on_ranks_steps.run(context),
        "plain": train_together(context, weighted=False),
        "weighted": train_together(context, weighted=True),
        "state": average_state(context),
        "differ": weights_differ(context),
        "nan": loss_not_finite(context),
        "input": on_ranks_input.run(context),
    }
    if context.rank != 0:
        return together
    # Last: Horovod tells variables by their names, which count what a rank has built.
    return together | {
        "alone": train_alone(),
        "input_alone": on_ranks_input.alone(),
        "refused": {name: refusal(name) for name in BAD_BUILDERS},
        "facts": {name: facts(name) for name in GOOD_BUILDERS},
    }


# -- networks ---------------------------------------------------------------------------------


def network(seed=0, classes=CLASSES, batch_norm=False, **compile_args):
    from sparkml_dist.deep.backend.with_horovod import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            layers.Dense(16, activation="tanh", kernel_regularizer=keras.regularizers.L2(0.01)),
            *([layers.BatchNormalization()] if batch_norm else []),
            layers.Dense(classes, activation="softmax"),
        ]
    )
    arguments = {
        "optimizer": keras.optimizers.SGD(0.1, momentum=0.9),
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        "jit_compile": False,  # of plain Keras: XLA takes longer than these steps
    }
    model.compile(**{**arguments, **compile_args})
    return model


def built(model):
    from sparkml_dist.deep.input.inputs import InputSpec
    from sparkml_dist.deep.train.model_check import build_model

    return build_model(lambda: model, {}, InputSpec.single(FEATURES))


def steps(size, weighted):
    """Yield for each step the (x, y, weight, rows) of every rank, the last one padded."""
    rng = np.random.default_rng(7)
    for step in range(STEPS):
        parts = []
        for rank in range(size):
            rows = LAST_ROWS[rank] if step == STEPS - 1 else BATCH
            x = rng.normal(size=(BATCH, FEATURES)).astype(np.float32)
            y = rng.integers(0, CLASSES, BATCH).astype(np.int32)
            weight = rng.uniform(0.1, 4.0, BATCH) if weighted else np.ones(BATCH)
            weight[rows:] = 0
            parts.append((x, y, weight.astype(np.float32), rows))
        yield parts


# -- checks -----------------------------------------------------------------------------------


def train_together(context, weighted):
    """Train on two ranks; rank 0 also trains plain Keras on the whole batches."""
    from sparkml_dist.deep.backend.with_horovod import hvd, tf
    from sparkml_dist.deep.train.coupling import Coupling

    # Ranks begin with other weights on purpose: the broadcast has to make them equal.
    model = built(network(seed=context.rank))
    plain = network(seed=0, run_eagerly=True)  # tracing takes longer than a few steps
    coupling = Coupling(model)
    coupling.broadcast()
    step = tf.function(model.train_step, autograph=False)
    losses, wanted, counts = [], [], []
    for parts in steps(hvd.size(), weighted):
        x, y, weight, rows = parts[context.rank]
        losses.append(float(step((x, y, weight, tf.constant(rows)))))
        xs, ys, ws = (np.concatenate([p[i][: p[3]] for p in parts]) for i in range(3))
        scaled = ws * np.float32(len(ws) / ws.sum()) if weighted else None
        # Keras begins its metrics anew with each of these batches.
        wanted.append(plain.train_on_batch(xs, ys, sample_weight=scaled, return_dict=True))
        counts.append(len(ws))
    logs = coupling.epoch_logs()
    pairs = zip(model.get_weights(), plain.get_weights(), strict=True)
    return {
        "sha256": coupling.check_equal(0),
        "gap": max(float(np.abs(a - b).max()) for a, b in pairs),
        "moved": float(np.abs(plain.get_weights()[0] - network(0).get_weights()[0]).max()),
        "losses": losses,
        "logs": logs,
        "wanted": {
            k: float(np.average([w[k] for w in wanted], weights=counts))
            for k in ("loss", "accuracy")
        },
    }


def train_alone():
    """One rank's step against ``train_on_batch``, bit by bit."""
    from sparkml_dist.deep.backend.with_horovod import tf
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.deep.train.reduction import reduce_alone

    model, plain = built(network(seed=1)), network(seed=1)
    Coupling(model, reduce=reduce_alone)
    step = tf.function(model.train_step, autograph=False)
    for ((x, y, weight, _),) in steps(1, False):
        step((x, y, np.ones_like(weight), tf.constant(BATCH)))
        plain.train_on_batch(x, y)
    return [
        a.tobytes() == b.tobytes()
        for a, b in zip(model.get_weights(), plain.get_weights(), strict=True)
    ]


def average_state(context):
    from sparkml_dist.deep.train.coupling import Coupling

    model = built(network(batch_norm=True))
    coupling = Coupling(model)
    means = next(v for v in model.non_trainable_weights if v.path.endswith("moving_mean"))
    others = [v for v in model.non_trainable_weights if v is not means]
    before = [v.numpy() for v in others]
    means.assign(np.full(means.shape, float(context.rank)))
    coupling.average_state()
    coupling.check_equal(0)
    same = all((v.numpy() == b).all() for v, b in zip(others, before, strict=True))
    return [float(means.numpy().min()), float(means.numpy().max()), same]


def weights_differ(context):
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.errors import TrainingError

    model = built(network())
    coupling = Coupling(model)
    coupling.broadcast()
    if context.rank == 1:
        bias = model.trainable_variables[-1]
        bias.assign(bias.numpy() + np.float32(1e-7))
    try:
        coupling.check_equal(4)
    except TrainingError as error:
        return str(error)
    return "nothing"


def loss_not_finite(context):
    from sparkml_dist.deep.input.pipeline import Batch
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.deep.train.loop import train_epochs
    from sparkml_dist.errors import TrainingError

    class Stream:
        def __init__(self, epoch, _):
            self.parts = [parts[context.rank] for parts in steps(2, False)]
            if epoch == 1 and context.rank == 1:
                self.parts[2][0][0, 0] = np.nan

        def __enter__(self):
            return (Batch(*part) for part in self.parts)

        def __exit__(self, *_):
            return None

    coupling = Coupling(built(network()))
    coupling.broadcast()
    reported = []
    try:
        train_epochs(coupling, Stream, lambda b: (b.x, b.y), 3, reported.append)
    except TrainingError as error:
        return [error.code, error.message, len(reported)]
    return "nothing"


# -- builders ---------------------------------------------------------------------------------


def _custom(keras):
    class Custom(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(CLASSES, activation="softmax")

        def call(self, x):
            return self.dense(x)

        def train_step(self, data):
            return super().train_step(data)

    model = Custom()
    model.compile(loss="sparse_categorical_crossentropy")
    return model


def _sequential(keras, *layers, shape=(FEATURES,), **compile_args):
    model = keras.Sequential([keras.Input(shape), *layers])
    model.compile(**{"loss": "sparse_categorical_crossentropy", **compile_args})
    return model


def _lambda(keras):
    layers = keras.layers
    return _sequential(keras, layers.Lambda(lambda x: x + 1), layers.Dense(CLASSES))


def _uncompiled(keras):
    return keras.Sequential([keras.Input((FEATURES,)), keras.layers.Dense(CLASSES)])


def _two_inputs(keras):
    inputs = [keras.Input((FEATURES,)), keras.Input((FEATURES,))]
    model = keras.Model(inputs, keras.layers.Dense(CLASSES)(inputs[0] + inputs[1]))
    model.compile(loss="sparse_categorical_crossentropy")
    return model


def _raises(keras):
    raise ZeroDivisionError("division by nothing")


BAD_BUILDERS = {
    "not_a_keras_model": lambda keras: SimpleNamespace(),
    "model_not_compiled": _uncompiled,
    "custom_train_step": _custom,
    "loss_reduction": lambda keras: _sequential(
        keras,
        keras.layers.Dense(CLASSES),
        loss=keras.losses.SparseCategoricalCrossentropy(reduction="sum"),
    ),
    "lambda_layer": _lambda,
    "inputs_differ": _two_inputs,
    "input_shape_differs": lambda keras: _sequential(
        keras, keras.layers.Dense(CLASSES), shape=(FEATURES + 1,)
    ),
    "nothing_to_train": lambda keras: _sequential(keras, keras.layers.Rescaling(2.0)),
    "output_units": lambda keras: _sequential(keras, keras.layers.Dense(CLASSES + 1)),
    "output_shape": lambda keras: _sequential(
        keras, keras.layers.Reshape((FEATURES, 1)), keras.layers.Dense(CLASSES)
    ),
    "builder_failed": _raises,
    "loss_failed": lambda keras: _sequential(
        keras, keras.layers.Dense(CLASSES), loss=lambda y, y_pred: _raises(keras)
    ),
}

GOOD_BUILDERS = {
    "sparse": lambda keras: _sequential(keras, keras.layers.Dense(2, activation="softmax")),
    "one_hot": lambda keras: _sequential(
        keras, keras.layers.Dense(2), loss=keras.losses.CategoricalCrossentropy(from_logits=True)
    ),
    "binary": lambda keras: _sequential(
        keras, keras.layers.Dense(1, activation="sigmoid"), loss="binary_crossentropy"
    ),
}


def refusal(name):
    from sparkml_dist.deep.backend.with_horovod import keras
    from sparkml_dist.deep.input.inputs import InputSpec
    from sparkml_dist.deep.input.target import Target
    from sparkml_dist.deep.train.model_check import build_model, check_loss
    from sparkml_dist.deep.train.network_facts import network_facts
    from sparkml_dist.errors import ConfigurationError

    try:
        model = build_model(lambda: BAD_BUILDERS[name](keras), {}, InputSpec.single(FEATURES))
        network_facts(model, Target(CLASSES), InputSpec.single(FEATURES))
        check_loss(model, np.zeros((2, FEATURES), np.float32), np.zeros(2, np.int32))
    except ConfigurationError as error:
        return [error.code, error.message]
    return ["nothing", ""]


def facts(name):
    from sparkml_dist.deep.backend.with_horovod import keras
    from sparkml_dist.deep.input.inputs import InputSpec
    from sparkml_dist.deep.input.target import Target
    from sparkml_dist.deep.train.model_check import build_model
    from sparkml_dist.deep.train.network_facts import network_facts

    model = build_model(lambda: GOOD_BUILDERS[name](keras), {}, InputSpec.single(FEATURES))
    found = network_facts(model, Target(2), InputSpec.single(FEATURES))
    encoded = found.encode(np.array([1, 0], np.int32), 2)
    model.train_on_batch(np.zeros((2, FEATURES), np.float32), encoded)
    return [found.target, found.units, found.logits, encoded.tolist()]
