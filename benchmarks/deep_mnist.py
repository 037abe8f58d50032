"""Accuracy of `cnn` on MNIST's 10,000 test images: two ranks, and one at the same global batch."""

from __future__ import annotations

import argparse
import gzip
import os
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, median, report, scratch, session

TARGET, APART = 0.975, 0.005
GLOBAL_BATCH = 128


def images(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return images (n, 784) as float32 in [0, 1] and labels (n,) from IDX files."""
    arrays = []
    for name in ("mnist10k-images-idx3-ubyte.gz", "mnist10k-labels-idx1-ubyte.gz"):
        content = gzip.decompress((folder / name).read_bytes())
        dimensions = [int(n) for n in np.frombuffer(content, ">u4", content[3], 4)]
        flat = np.frombuffer(content, np.uint8, offset=4 + 4 * len(dimensions))
        arrays.append(flat.reshape(dimensions[0], -1))
    return (arrays[0] / np.float32(255)).astype(np.float32), arrays[1].ravel().astype(np.int64)


def write_parquet(folder: Path, path: Path) -> None:
    """Write the images as Parquet, with a key that tells them apart."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    X, y = images(folder)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1])
    features = flat.cast(pa.list_(pa.float32()))
    table = pa.table({"id": np.arange(len(y)), "features": features, "label": y})
    pq.write_table(table, path, row_group_size=2000)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument(
        "--work", type=Path, help="keep trained networks here, and do not train them again"
    )
    args = parser.parse_args()
    folder = Path(os.environ.get("SPARKML_DIST_DATA", args.data))
    if args.work is not None:
        args.work.mkdir(parents=True, exist_ok=True)
        measure(args, folder, args.work)
        return
    with scratch() as work:
        measure(args, folder, work)


def measure(args: argparse.Namespace, folder: Path, work: Path) -> None:
    from pyspark.sql import functions as F

    from sparkml_dist import KerasClassifier, partition, split

    spark = session("deep_mnist")
    write_parquet(folder, work / "mnist.parquet")
    frame = spark.read.parquet(str(work / "mnist.parquet"))
    train, test = split(frame, 0.2, seed=0, key="id")
    held_out = test.count()
    data = partition(
        train,
        str(work / "shards"),
        label="label",
        features="features",
        key="id",
        shards=4,
        seed=0,
        overwrite=True,
    )
    found: dict[int, list[float]] = {1: [], 2: []}
    train_seconds: dict[int, list[float]] = {1: [], 2: []}
    for seed in args.seeds:
        for ranks in (2, 1):
            model = KerasClassifier(
                builder="cnn",
                numRanks=ranks,
                batchSize=GLOBAL_BATCH // ranks,
                epochs=args.epochs,
                inputShape=[28, 28, 1],
                seed=seed,
                modelDir=str(work / f"model-{ranks}-{seed}-{args.epochs}"),
                resume=True,
            ).fit(data)
            right = F.avg((F.col("label") == F.col("prediction")).cast("double"))
            accuracy = model.transform(test).agg(right).first()[0]
            found[ranks].append(accuracy)
            train_seconds[ranks].append(model.summary["seconds"]["train"])
            print(f"seed {seed}, {ranks} rank(s): {accuracy:.4f}", flush=True)
    spark.stop()
    two, one = median(found[2]), median(found[1])
    gaps = [abs(a - b) for a, b in zip(found[2], found[1], strict=True)]
    rows: list[dict[str, Any]] = [
        {
            "seed": seed,
            "2 ranks × 64": f"{found[2][i]:.4f}",
            "1 rank × 128": f"{found[1][i]:.4f}",
            "apart": f"{gaps[i]:.4f}",
            "training, 2 ranks (s)": f"{train_seconds[2][i]:.0f}",
            "1 rank (s)": f"{train_seconds[1][i]:.0f}",
        }
        for i, seed in enumerate(args.seeds)
    ]
    report(
        "deep_mnist",
        f"Accuracy of `cnn` on {held_out:,} held-out images (20% by hashed key) of MNIST's 10,000 "
        f"test images after {args.epochs} epochs on the other {data.n_rows:,}, "
        f"{GLOBAL_BATCH} rows in each step.",
        rows,
        target=f"at least {TARGET} on 2 ranks, and 1 rank within {APART} of it, in the median",
        measured=f"{two:.4f} on 2 ranks, {one:.4f} on 1 rank",
        met=two >= TARGET and abs(two - one) <= APART,
        note="The two differ in dropout, which each rank draws for itself, and in batch "
        "normalisation, which each rank does over its own rows. Seconds are of a shared machine.",
    )


if __name__ == "__main__":
    main()
