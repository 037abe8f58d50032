"""Write a log of the maintenance of machines, of which a policy can be learnt.

Machines wear from hour to hour; a worn one may break, which costs 20 and ends its episode. Each
hour somebody lets it run (which earns 1 less a tenth of the wear), has it oiled, or has it repaired
(which costs 4). The log has what was done, with which probability, and what came of it. The best
policy oils machines of medium wear and repairs worn ones; that of the log acts mostly at random.

    spark-submit --master 'local[2]' examples/maintenance_log.py build/log
    spark-submit --master 'local[2]' jobs/learn_policy.py --transitions build/log \
      --episode machine --step hour --state wear hot --action action --reward gain \
      --terminated broken --truncated sold --behavior-prob chance --discount 0.95 \
      --evaluate fqe,mis --output build/policy
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ACTIONS = ("run", "oil", "repair")
HOURS = 40
SCHEMA = (
    "machine bigint, hour int, wear double, hot boolean, action string, gain double, "
    "broken boolean, sold boolean, chance double"
)


def hours(machine: int, seed: int = 0) -> list[tuple[Any, ...]]:
    """Return the rows of one machine."""
    rng = np.random.default_rng([seed, machine])
    wear, rows = 0, []
    for hour in range(HOURS):
        hot = bool(rng.random() < 0.3)
        # People tend to let machines run, and to repair worn ones.
        chances = np.array([0.6, 0.25, 0.15]) if wear < 4 else np.array([0.4, 0.2, 0.4])
        chosen = int(rng.choice(3, p=chances))
        broken = bool(rng.random() < (wear / 8 + hot / 10) * (chosen == 0) / 2)
        gain = -20.0 if broken else (1 - wear / 10, 0.5 - wear / 10, -4.0)[chosen]
        sold = hour == HOURS - 1 and not broken
        rows.append((wear, hot, ACTIONS[chosen], gain, broken, sold, float(chances[chosen])))
        if broken:
            break
        wear = 0 if chosen == 2 else min(6, wear + int(rng.random() < (0.6, 0.2)[chosen]))
    return [(machine, hour, float(row[0]), *row[1:]) for hour, row in enumerate(rows)]


def log(spark: SparkSession, machines: int, seed: int = 0) -> DataFrame:
    """Return the log of many machines, made in tasks."""

    def make(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        names = [field.split()[0] for field in SCHEMA.split(", ")]
        for batch in batches:
            rows = [row for machine in batch.column(0).to_pylist() for row in hours(machine, seed)]
            columns = [pa.array(column) for column in zip(*rows, strict=True)]
            columns[1] = columns[1].cast(pa.int32())
            yield pa.RecordBatch.from_arrays(columns, names)

    return spark.range(machines).mapInArrow(make, SCHEMA)


def main() -> None:
    """Write the log of 3,000 machines to the folder that is named."""
    from sparkml_dist import get_session

    log(get_session("maintenance"), 3000).write.mode("overwrite").parquet(sys.argv[1])


if __name__ == "__main__":
    main()
