"""Write the data sets of the demo: one real and small, one generated and large.

    python scripts/make_demo_data.py build/demo/data --rows 4000000

- ``digits.parquet``: scikit-learn's bundled handwritten digits (a real data set: 1,797 images of
  8 x 8 pixels from UCI), columns ``p00`` to ``p63`` (0 to 16) and ``digit``.
- ``generated/part-*.parquet``: two classes in 28 dimensions, each a mixture of 16 Gaussian
  clusters, 5% of the labels turned; columns ``f00`` to ``f27`` (float32) and ``label``. Made one
  part at a time, so that no process ever holds the whole.
- ``held-out/part-*.parquet``: more rows from the same source, to score.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.datasets import load_digits

FEATURES = 28
CLUSTERS = 16  # of each class
TURNED_LABELS = 0.05
ROWS_IN_PART = 100_000
HELD_OUT_ROWS = 40_000


def write_digits(folder: Path) -> Path:
    """Write scikit-learn's digits as one Parquet file and return its path."""
    digits = load_digits()
    columns = {f"p{i:02d}": digits.data[:, i].astype(np.float32) for i in range(64)}
    path = folder / "digits.parquet"
    pq.write_table(pa.table({**columns, "digit": digits.target.astype(np.int32)}), path)
    return path


def write_generated(target: Path, rows: int, stream: int) -> Path:
    """Write generated rows part by part into a folder and return it.

    A run that was interrupted goes on where it stopped: each part depends on its number and on
    the stream only. Streams differ in their rows, not in what these are drawn from.
    """
    target.mkdir(parents=True, exist_ok=True)
    centres = np.random.default_rng(0).normal(scale=0.7, size=(2 * CLUSTERS, FEATURES))
    parts = -(-rows // ROWS_IN_PART)
    for part in range(parts):
        path = target / f"part-{part:05d}.parquet"
        if path.exists():
            continue
        count = min(ROWS_IN_PART, rows - part * ROWS_IN_PART)
        unfinished = path.with_name(f".{path.name}.tmp")
        pq.write_table(_part(centres, count, np.random.default_rng([stream, part])), unfinished)
        unfinished.rename(path)
    for surplus in sorted(target.glob("part-*.parquet"))[parts:]:
        surplus.unlink()
    return target


def _part(centres: np.ndarray, rows: int, rng: np.random.Generator) -> pa.Table:
    cluster = rng.integers(len(centres), size=rows)
    points = rng.standard_normal((rows, FEATURES), dtype=np.float32)
    points += centres[cluster].astype(np.float32)
    label = (cluster % 2) ^ (rng.random(rows) < TURNED_LABELS)
    columns = {f"f{i:02d}": points[:, i] for i in range(FEATURES)}
    return pa.table({**columns, "label": label.astype(np.int32)})


def main() -> None:
    """Write both data sets and print, as JSON, where they lie and how large they are."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=4_000_000, help="of the generated data set")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    said = {
        "digits": str(write_digits(arguments.folder)),
        "generated": str(write_generated(arguments.folder / "generated", arguments.rows, 0)),
        "held_out": str(write_generated(arguments.folder / "held-out", HELD_OUT_ROWS, 1)),
        "generated_mb": round(arguments.rows * FEATURES * 4 / 1e6),
    }
    print(json.dumps(said))


if __name__ == "__main__":
    main()
