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

    from sparkml_dist.cluster.gang import WARM_RANKS, run_gang

    # What a gang leaves is gone before the next one is timed: each is the first of its executor.
    spark.conf.set(WARM_RANKS, "0.3")

    def gang() -> None:
        found = run_gang(
            spark, args.ranks, _allreduce, preload=("sparkml_dist.deep.backend.with_horovod",)
        )
        assert [r.value for r in found] == [expected] * args.ranks

    def horovod_on_spark() -> None:
        found = horovod.spark.run(_allreduce, num_proc=args.ranks, use_gloo=True, verbose=0)
        assert found == [expected] * args.ranks

    def one_import() -> None:
        subprocess.run([sys.executable, "-c", "import tensorflow"], check=True, capture_output=True)

    spark.range(8).count()  # the session runs
    gang()  # and its Python workers, for both
    times = alternating(args.repeats, gang=gang, horovod=horovod_on_spark, tensorflow=one_import)
    spark.conf.unset(WARM_RANKS)
    gang()
    times |= alternating(args.repeats, later=gang)
    spark.stop()
    names = {
        "gang": "`run_gang`, the first of its executor",
        "later": "`run_gang`, a later one",
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
        note="The target is for the first gang. TensorFlow, Keras and Horovod are imported while "
        "Spark assembles it, once for all ranks of the executor, which are forked from that "
        "process and, a minute long, those of later gangs as well; what these packages only look "
        "for (plotting, pandas, scikit-learn) is left out. Each rank's own worker is checked by "
        "its own task, so that no job runs before the gang.",
    )


if __name__ == "__main__":
    main()
