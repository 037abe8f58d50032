"""Cost of a round with many simulated silos, and what the driver's memory does."""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from typing import Any

from common import median, report, scratch, seconds, session


def measured(silos: int, rows: int, rounds: int) -> dict[str, Any]:
    """Return seconds of the writing and of a round, and the driver's peak, in this process."""
    from pyspark.sql import functions as F

    from sparkml_dist import Federation

    spark = session("federated_silos")
    df = spark.range(silos * rows).select(
        F.rand(1).alias("a"),
        F.rand(2).alias("b"),
        (F.rand(3) < 0.5).alias("y"),
        F.concat(F.lit("s"), F.pmod("id", F.lit(silos))).alias("silo"),
    )
    with scratch() as folder:
        made: list[Federation] = []
        writing = seconds(
            lambda: made.append(Federation.from_frame(df, "silo", label="y", folder=str(folder)))
        )
        made[0].sum("rows")  # agrees, and warms the workers
        times = [seconds(lambda: made[0].sum("rows")) for _ in range(rounds)]
        audit = made[0].audit()
        answers = audit[(audit.kind == "rows") & (audit.direction == "answer")]
        spark.stop()
    round_seconds = median(times)
    return {
        "silos": silos,
        "writing_s": round(writing, 2),
        "round_s": round(round_seconds, 3),
        "ms_per_silo_round": round(1000 * round_seconds / silos, 2),
        "bytes_per_silo_round": int(answers.bytes.median()),
        "driver_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--silos", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--rows", type=int, default=100, help="of each silo")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--one", type=int, help="measure this number of silos in this process")
    arguments = parser.parse_args()
    if arguments.one:
        print(measured(arguments.one, arguments.rows, arguments.rounds))
        return
    import ast

    found = []
    for silos in arguments.silos:  # a process each, whose peak of memory is its own
        command = [sys.executable, __file__, "--one", str(silos), "--rows", str(arguments.rows)]
        command += ["--rounds", str(arguments.rounds)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found.append(ast.literal_eval(done.stdout.strip().splitlines()[-1]))
    growth = found[-1]["driver_peak_mb"] - found[0]["driver_peak_mb"]
    report(
        "federated_silos",
        f"Rounds over simulated silos of {arguments.rows} rows, {arguments.rounds} of each.",
        found,
        target="the driver's memory is flat in the number of silos (within 32 MB)",
        measured=f"{growth:+} MB from {found[0]['silos']} to {found[-1]['silos']:,} silos",
        met=growth <= 32,
    )


if __name__ == "__main__":
    main()
