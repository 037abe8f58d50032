"""Networks whose ranks die, and data in which every row can be told; imports no TensorFlow."""

from __future__ import annotations

import io
import os
import signal
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sparkml_dist.dataset.partitioning import partition

ROWS, FEATURES = 120, 6
BATCH = 16  # of all ranks: 8 steps in an epoch, the last one not full


def each_row_its_target(spark, folder):
    """Cut rows whose target is their number, so that a metric can count them."""
    rng = np.random.default_rng(5)
    rows = [(i, *map(float, rng.normal(size=FEATURES))) for i in range(ROWS)]
    frame = spark.createDataFrame(rows, ["label", *(f"x{i}" for i in range(FEATURES))])
    return partition(frame, str(folder), label="label", task="regression", shards=3)


def network(
    *,
    units: int = 12,
    noisy: bool = False,
    doom: Callable[[int, int], None] | None = None,
    poison: int | None = None,
) -> Callable[..., Any]:
    """Return a builder.

    Parameters
    ----------
    units : int
        Of the hidden layer.
    noisy : bool
        Whether there are batch normalisation and dropout, whose state differs between ranks.
    doom : callable, optional
        ``doom(rank, call)`` is called with every batch that the loss is asked about, counted from
        1 in each launch.
    poison : int, optional
        Step, counted from 1, in which the loss becomes NaN.
    """

    def build(input_shape):
        import keras
        import tensorflow as tf

        class Seen(keras.metrics.Metric):
            """How often each row was trained on."""

            def __init__(self):
                super().__init__(name="seen")
                self.rows = self.add_weight(name="rows", shape=(ROWS,), initializer="zeros")

            def update_state(self, y_true, y_pred, sample_weight=None):
                numbers = tf.cast(tf.reshape(y_true, [-1]), tf.int32)
                self.rows.assign_add(tf.reduce_sum(tf.one_hot(numbers, ROWS), axis=0))

            def result(self):
                return self.rows.value

        calls = [0]

        class Loss(keras.losses.Loss):
            def call(self, y_true, y_pred):
                calls[0] += 1
                if doom is not None:
                    doom(int(os.environ["HOROVOD_RANK"]), calls[0])
                bad = float("nan") if int(model.optimizer.iterations) + 1 == poison else 1.0
                return tf.reduce_mean((y_true / ROWS - y_pred) ** 2, axis=-1) * bad

        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input(input_shape),
                layers.Dense(units, activation="relu"),
                *([layers.BatchNormalization(), layers.Dropout(0.3)] if noisy else []),
                layers.Dense(1),
            ]
        )
        model.compile(
            keras.optimizers.SGD(0.02, momentum=0.9),
            Loss(),
            metrics=[Seen(), "mae"],
            run_eagerly=True,
        )
        return model

    return build


def killed(
    marker: Path,
    *,
    rank: int,
    call: int,
    executor: bool = False,
    by: signal.Signals = signal.SIGKILL,
    checkpoint: tuple[Path, int] | None = None,
) -> Callable[[int, int], None]:
    """Return a doom: one rank's process is killed at one call, once.

    `executor` kills its executor instead. `by` is the signal that it gets.
    `checkpoint` is the model's folder and the step of a checkpoint that must be whole by then: it
    is written beside the training.
    """
    path = str(marker)
    awaited = None if checkpoint is None else (str(checkpoint[0]), checkpoint[1])

    def doom(at_rank, at_call):
        if at_rank != rank or at_call != call or os.path.exists(path):
            return
        if awaited is not None:
            name = f"checkpoints/*-step-{awaited[1]:09d}/manifest.json"
            until = time.monotonic() + 60
            while not any(Path(awaited[0]).glob(name)) and time.monotonic() < until:
                time.sleep(0.02)
        with open(path, "w"):
            pass
        pid = _executor() if executor else os.getpid()
        os.kill(pid, by)

    return doom


def _executor() -> int:
    """Return the JVM of this rank, whose parent, a server, need not descend from it."""
    server = Path(f"/proc/{os.getppid()}/cmdline").read_text().split("\0")
    workers = int(server[server.index("sparkml_dist.cluster.fork_server") + 2])
    stat = Path(f"/proc/{workers}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


def weights_of(model_dir: Path) -> dict[str, np.ndarray]:
    """Return the arrays in a saved network, without Keras."""
    import h5py

    with zipfile.ZipFile(model_dir / "model.keras") as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    found = {}
    with h5py.File(content) as file:

        def keep(name, item):
            if isinstance(item, h5py.Dataset):
                found[name] = item[()]

        file.visititems(keep)
    return found
