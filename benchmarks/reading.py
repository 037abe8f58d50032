"""Reading: shards to a float32 matrix, against mapInArrow over the same Parquet files."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import numpy as np
import pyarrow as pa
from common import alternating, generated, median, report, scratch, session

from sparkml_dist import PartitionedDataset, open_partitioned, partition
from sparkml_dist.dataset import reader


def _touch(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in batches:
        matrix = np.column_stack([c.to_numpy(zero_copy_only=False) for c in batch.columns])
        rows += len(matrix)
    yield pa.RecordBatch.from_pydict({"n": pa.array([rows], pa.int64())})


def _read(task: tuple[str, list[int]], *, first: bool = False) -> int:
    if first:
        reader._verified.clear()  # as in a process that has not read these files before
    data = open_partitioned(task[0])
    return sum(len(data.read_block(s)) for s in task[1])


_first = partial(_read, first=True)


def _halves(data: PartitionedDataset) -> list[tuple[str, list[int]]]:
    return [(data.location, list(range(i, len(data.shards), 2))) for i in range(2)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=4_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    with scratch() as folder:
        spark = session("reading")
        frame = generated(spark, arguments.rows)
        data = partition(frame, folder / "d", label="label", shards=8)
        columns = [*data.feature_names]
        files = [f"{data.location}/{s.file}" for s in data.shards]

        def through_spark(batch: int) -> None:
            spark.conf.set("spark.sql.execution.arrow.maxRecordsPerBatch", str(batch))
            spark.read.parquet(*files).select(*columns).mapInArrow(_touch, "n long").collect()

        with ProcessPoolExecutor(2) as pool:
            list(pool.map(_read, [(data.location, [0]), (data.location, [1])]))
            through_spark(65_536)
            times = alternating(
                arguments.repeats,
                shards=lambda: list(pool.map(_read, _halves(data))),
                shards_first_reading=lambda: list(pool.map(_first, _halves(data))),
                shards_one_process=lambda: _read((data.location, list(range(8)))),
                map_in_arrow_65536=lambda: through_spark(65_536),
                map_in_arrow_10000=lambda: through_spark(10_000),
            )
        spark.stop()
    base = median(times["shards"])
    rows = [
        {
            "reader": name,
            "processes": 1 if name == "shards_one_process" else 2,
            "seconds": f"{median(t):.2f}",
            "million rows/s": f"{arguments.rows / median(t) / 1e6:.2f}",
            "times slower than shards": f"{median(t) / base:.1f}",
        }
        for name, t in times.items()
    ]
    slower = {name: median(t) / base for name, t in times.items()}
    first = median(times["shards_first_reading"]) / base
    report(
        "reading",
        f"{arguments.rows:,} rows × {len(columns)} floats in Parquet to float32 matrices, on two "
        f"cores; medians of {arguments.repeats}, in turn. A process checks a file's checksums when "
        "it reads it for the first time.",
        rows,
        target="≥ 10× the rows/s of mapInArrow over the same files",
        measured=f"{slower['map_in_arrow_65536']:.1f}× (batches of 65,536 rows) and "
        f"{slower['map_in_arrow_10000']:.1f}× (Spark's default of 10,000); a process's first, "
        f"checking reading: {slower['map_in_arrow_65536'] / first:.1f}× and "
        f"{slower['map_in_arrow_10000'] / first:.1f}×",
        met=slower["map_in_arrow_65536"] >= 10,
    )


if __name__ == "__main__":
    main()
