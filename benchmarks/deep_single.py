"""Time of a training by one rank against plain ``model.fit`` on the same arrays."""

from __future__ import annotations

import argparse
import time
from typing import Any

from common import alternating, generated, median, report, scratch, session

TARGET = 1.10


def _fit(context: Any, payload: tuple[Any, int, int]) -> float:
    """Return the seconds of ``model.fit`` on all rows in memory, in a process like a rank's."""
    import numpy as np

    from sparkml_dist.deep.backend.with_horovod import keras, tf
    from sparkml_dist.deep.network.builders import mlp

    data, epochs, batch = payload
    tf.config.threading.set_intra_op_parallelism_threads(context.cpus)
    tf.config.threading.set_inter_op_parallelism_threads(context.cpus)
    blocks = [data.read_block(shard) for shard in range(len(data.shards))]
    X = np.concatenate([b.X for b in blocks])
    y = np.concatenate([b.y for b in blocks])
    keras.utils.set_random_seed(0)
    moments = X.mean(axis=0), X.std(axis=0)
    model = mlp((X.shape[1],), 2, moments, total_steps=epochs * -(-len(X) // batch))
    begun = time.perf_counter()
    model.fit(X, y, batch_size=batch, epochs=epochs, verbose=0)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    spark = session("deep_single")

    from sparkml_dist import KerasClassifier, partition
    from sparkml_dist.cluster.gang import run_gang

    trained: list[float] = []
    fitted: list[float] = []
    with scratch() as folder:
        data = partition(
            generated(spark, args.rows), str(folder / "shards"), label="label", shards=4
        )
        learner = KerasClassifier(
            builder="mlp", numRanks=1, epochs=args.epochs, batchSize=args.batch
        )

        def one_rank() -> None:
            trained.append(learner.fit(data).summary["seconds"]["train"])

        def keras_fit() -> None:
            ranks = run_gang(
                spark,
                1,
                _fit,
                (data, args.epochs, args.batch),
                env={"KERAS_BACKEND": "tensorflow"},
                preload=("sparkml_dist.deep.backend.with_horovod",),
            )
            fitted.append(ranks[0].value)

        alternating(args.repeats, fit=keras_fit, rank=one_rank)
    spark.stop()
    ratio = median(trained) / median(fitted)
    report(
        "deep_single",
        f"Seconds of {args.epochs} epochs over {args.rows:,} rows x 28 features, batches of "
        f"{args.batch}, the built-in `mlp`, one thread; without launch, build and save.",
        [
            {
                "what": what,
                "seconds (median)": f"{median(values):.1f}",
                "all": ", ".join(f"{v:.1f}" for v in values),
                "ratio": f"{median(values) / median(fitted):.2f}",
            }
            for what, values in (
                ("`model.fit` on arrays in memory", fitted),
                ("`KerasClassifier(numRanks=1)` over shards", trained),
            )
        ],
        target=f"at most {TARGET} of `model.fit`",
        measured=f"{ratio:.2f}",
        met=ratio <= TARGET,
        note="The rank reads its rows from Parquet while it trains, and compares weights and "
        "metrics at the end of each epoch.",
    )


if __name__ == "__main__":
    main()
