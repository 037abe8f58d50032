"""Time from a running session to an allreduce on all ranks: the gang against horovod.spark.run."""

from __future__ import annotations

import argparse
import subprocess
import sys
from typing import Any

from common import alternating, median, report, session

# Of horovod.spark.run, and of one import of TensorFlow.
TARGET, IMPORT_TARGET = 0.40, 1.5


def _allreduce(*_: Any) -> float:
    import horovod.tensorflow as hvd
    import tensorflow as tf

    hvd.init()
    return float(hvd.allreduce(tf.constant(float(hvd.rank() + 1)), op=hvd.Sum))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    spark = session("launch", master=f"local[{args.ranks}]")
    expected = args.ranks * (args.ranks + 1) / 2

    import horovod.spark

    from sparkml_dist.cluster.gang import run_gang

    def gang() -> None:
        found = run_gang(spark, args.ranks, _allreduce, preload=("sparkml_dist.deep.backend",))
        assert [r.value for r in found] == [expected] * args.ranks

    def horovod_on_spark() -> None:
        found = horovod.spark.run(_allreduce, num_proc=args.ranks, use_gloo=True, verbose=0)
        assert found == [expected] * args.ranks

    def one_import() -> None:
        subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)

    spark.range(8).count()  # the session runs
    gang()  # and its Python workers, for both
    times = alternating(args.repeats, gang=gang, horovod=horovod_on_spark, tensorflow=one_import)
    spark.stop()
    names = {
        "gang": "`run_gang`",
        "horovod": "`horovod.spark.run`",
        "tensorflow": "one `import tensorflow` in a fresh process",
    }
    base, gang_seconds = median(times["horovod"]), median(times["gang"])
    ratio, imports = gang_seconds / base, gang_seconds / median(times["tensorflow"])
    report(
        "launch",
        f"Seconds from a running session to a trivial allreduce on {args.ranks} ranks.",
        [
            {
                "what": names[key],
                "seconds (median)": f"{median(values):.1f}",
                "all": ", ".join(f"{v:.1f}" for v in values),
                "ratio": f"{median(values) / base:.2f}",
            }
            for key, values in times.items()
        ],
        target=f"at most {TARGET:.2f} of `horovod.spark.run` and {IMPORT_TARGET} of one "
        "`import tensorflow`",
        measured=f"{ratio:.2f} and {imports:.2f}",
        met=ratio <= TARGET and imports <= IMPORT_TARGET,
        note="The ranks import TensorFlow, Keras and Horovod while Spark assembles the gang, and "
        "leave out what these only look for (plotting, pandas, scikit-learn). Each rank's own "
        "worker is checked by its own task, so that no job runs before the gang.",
    )


if __name__ == "__main__":
    main()
