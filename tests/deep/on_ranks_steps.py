"""What `test_step` runs in the processes of two ranks, in the gang of `on_ranks`."""

from __future__ import annotations

import os

import numpy as np

from tests.deep import on_ranks

PARTS = 3
CLIP = 0.05
WARMUP = 4
RATE = 0.1


def run(context):
    from sparkml_dist.deep.backend.with_horovod import keras

    def sgd(**arguments):
        return keras.optimizers.SGD(RATE, momentum=0.9, **arguments)

    return {
        "memory": compare(context, {}),
        "horovod": compare(context, {"transport": "horovod"}),
        "halves": compare(context, {"transport": "horovod", "compression": "fp16"}),
        "eager": compare(context, {}, run_eagerly=True),
        "accumulated": compare(context, {"accumulation_steps": PARTS}),
        "clipped": compare(context, {"clip_norm": CLIP}, plain=sgd(global_clipnorm=CLIP)),
        "keras_clips": compare(
            context, {}, optimizer=sgd(global_clipnorm=CLIP), plain=sgd(global_clipnorm=CLIP)
        ),
        "linear": scaled(context, "linear", keras.optimizers.AdamW, RATE),
        "schedule": scaled(
            context, "sqrt", keras.optimizers.SGD, keras.optimizers.schedules.CosineDecay(RATE, 9)
        ),
        "two_clippings": two_clippings(sgd(clipnorm=1.0)),
        "bfloat16": bfloat16(context),
        "overflow": overflow(context),
        "other_types": other_types(),
        "gone": rank_gone(context),
        "pace": pace(),
        "watched": watched(),
    }


def watched():
    """Return what is said of losses that are not finite, and when."""
    from sparkml_dist.deep.train.loop import LossWatch
    from sparkml_dist.errors import TrainingError

    watch, said = LossWatch(), []
    for loss, epoch, step in ((1.0, 0, 1), (float("nan"), 1, 7), (1.0, 1, 8), (float("inf"), 2, 1)):
        try:
            watch.add(loss, epoch, step)
        except TrainingError as error:
            said.append(f"{step}: {error.message}")
    try:
        watch.finish()
    except TrainingError as error:
        said.append(f"end: {error.message}")
    return said


def compare(context, settings, *, optimizer=None, plain=None, rate=None, **compile_args):
    """Train on two ranks with settings, and plain Keras on the whole batches."""
    from sparkml_dist.deep.backend.with_horovod import hvd, tf
    from sparkml_dist.deep.params.coupling_settings import CouplingSettings
    from sparkml_dist.deep.train.coupling import Coupling

    arguments = {**compile_args, **({"optimizer": optimizer} if optimizer else {})}
    model = on_ranks.built(on_ranks.network(seed=context.rank, **arguments))
    # Tracing takes longer than a few steps.
    alone = on_ranks.network(seed=0, run_eagerly=True, **({"optimizer": plain} if plain else {}))
    coupling = Coupling(model, CouplingSettings(**settings), steps=rate or 1)
    coupling.broadcast()
    step = model.train_step if model.run_eagerly else tf.function(model.train_step, autograph=False)
    losses, wanted, counts = [], [], []
    rates = []
    for parts in batches(hvd.size(), settings.get("accumulation_steps", 1)):
        x, y, weight, rows = parts[context.rank]
        rates.append(coupling.rate.rate(model.optimizer))
        losses.append(float(step((x, y, weight, tf.constant(rows)))))
        xs, ys, ws = (np.concatenate([p[i][: p[3]] for p in parts]) for i in range(3))
        found = alone.train_on_batch(
            xs, ys, sample_weight=ws * np.float32(len(ws) / ws.sum()), return_dict=True
        )
        wanted.append(found)
        counts.append(len(ws))
    logs = coupling.epoch_logs()
    pairs = zip(model.get_weights(), alone.get_weights(), strict=True)
    return {
        "transport": coupling.transport,
        "sha256": coupling.check_equal(0),
        "gap": max(float(np.abs(a - b).max()) for a, b in pairs),
        "losses": losses,
        "logs": logs,
        "accuracy": float(np.average([w["accuracy"] for w in wanted], weights=counts)),
        "rates": rates,
        "own_rate": float(model.optimizer.learning_rate),
    }


def batches(size, parts):
    """Yield batches of so many parts for every rank, the last one padded."""
    if parts == 1:
        yield from on_ranks.steps(size, True)
        return
    rng = np.random.default_rng(11)
    length = on_ranks.BATCH * parts - 1  # parts that do not come out even
    for step in range(4):
        found = []
        for rank in range(size):
            # In the end rank 0 has a part and a bit, rank 1 less than a part.
            rows = (11, 5)[rank] if step == 3 else length
            x = rng.normal(size=(length, on_ranks.FEATURES)).astype(np.float32)
            y = rng.integers(0, on_ranks.CLASSES, length).astype(np.int32)
            weight = rng.uniform(0.1, 4.0, length).astype(np.float32)
            weight[rows:] = 0
            found.append((x, y, weight, rows))
        yield found


def scaled(context, scaling, kind, rate):
    """A scaled and warmed-up rate against a schedule that says the same."""
    from sparkml_dist.deep.backend.with_horovod import hvd, keras

    class Same(keras.optimizers.schedules.LearningRateSchedule):
        def __call__(self, step):
            end = {"linear": hvd.size(), "sqrt": hvd.size() ** 0.5}[scaling]
            done = keras.ops.minimum((keras.ops.cast(step, "float32") + 1) / WARMUP, 1.0)
            return (1 + (end - 1) * done) * (rate(step) if callable(rate) else rate)

    settings = {"learning_rate_scaling": scaling, "warmup_epochs": 2}
    return compare(context, settings, optimizer=kind(rate), plain=kind(Same()), rate=WARMUP // 2)


def two_clippings(optimizer):
    from sparkml_dist.deep.params.coupling_settings import CouplingSettings
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.errors import ConfigurationError

    try:
        Coupling(
            on_ranks.built(on_ranks.network(optimizer=optimizer)), CouplingSettings(clip_norm=2.0)
        )
    except ConfigurationError as error:
        return str(error)
    return "nothing"


def bfloat16(context):
    from sparkml_dist.deep.backend.with_horovod import keras

    keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
    try:
        return compare(context, {})
    finally:
        keras.mixed_precision.set_dtype_policy("float32")


def overflow(context):
    """Half precision: gradients that overflow on rank 1 alone."""
    from sparkml_dist.deep.backend.with_horovod import hvd, keras, tf
    from sparkml_dist.deep.params.coupling_settings import CouplingSettings
    from sparkml_dist.deep.train.coupling import Coupling

    keras.mixed_precision.set_dtype_policy("mixed_float16")
    try:
        model = on_ranks.built(on_ranks.network(seed=0, optimizer=keras.optimizers.SGD(0.1)))
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    coupling = Coupling(model, CouplingSettings(clip_norm=10.0))
    coupling.broadcast()
    step = tf.function(model.train_step, autograph=False)
    told = []
    for number, parts in enumerate(on_ranks.steps(hvd.size(), False)):
        x, y, weight, rows = parts[context.rank]
        if number == 2 and context.rank == 1:
            x = x * np.float32(3e4)
        before = model.get_weights()
        loss = float(step((x, y, weight, tf.constant(rows))))
        moved = max(
            float(np.abs(a - b).max()) for a, b in zip(before, model.get_weights(), strict=True)
        )
        told.append([loss, moved > 0, float(model.optimizer.dynamic_scale)])
    return {"told": told, "sha256": coupling.check_equal(0)}


def other_types():
    """A network in double precision has no part in the memory, which holds floats."""
    from sparkml_dist.deep.backend.with_horovod import keras
    from sparkml_dist.deep.train.reduction import shared_memory

    return shared_memory([keras.Variable(0.0), keras.Variable(0.0, dtype="float64")]) is None


def rank_gone(context):
    """Rank 1 leaves the memory while rank 0 goes on."""
    from sparkml_dist.deep.backend.with_horovod import hvd, tf
    from sparkml_dist.deep.train.coupling import Coupling
    from sparkml_dist.deep.train.loop import step_function
    from sparkml_dist.deep.train.reduction import reduce_in_memory, shared_memory

    model = on_ranks.built(on_ranks.network())
    memory = shared_memory(model.trainable_variables)
    if context.rank == 1:
        memory.close()
        return "nothing"
    step = step_function(Coupling(model, reduce=reduce_in_memory(memory)))
    x, y, weight, rows = next(on_ranks.steps(hvd.size(), False))[0]
    try:
        step((x, y, weight, tf.constant(rows)))
    except ConnectionError as error:
        return str(error)
    return "nothing"


def pace():
    """Cycle and scheduling of Horovod's threads for each way of gradients, and with cycleMs."""
    from sparkml_dist.deep.params.coupling_settings import CouplingSettings
    from sparkml_dist.deep.train import horovod_threads
    from sparkml_dist.deep.train.coupling import Coupling

    def coupled(transport):
        model = on_ranks.built(on_ranks.network())
        Coupling(model, CouplingSettings(transport=transport)).broadcast()
        threads = {os.sched_getscheduler(t) for t in horovod_threads._state.threads}
        return [os.environ.get("HOROVOD_CYCLE_TIME"), sorted(threads)]

    found = {
        "memory": coupled("auto"),
        "horovod": coupled("horovod"),
        "again": coupled("auto"),
        "own": os.sched_getscheduler(0),
    }
    coupled("horovod")
    os.environ["HOROVOD_CYCLE_TIME"] = "2.0"
    try:
        return {**found, "chosen": coupled("auto")}
    finally:
        del os.environ["HOROVOD_CYCLE_TIME"]
