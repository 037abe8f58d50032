"""Sums over shards against MLlib's own, and against numpy with all rows in memory."""

from __future__ import annotations

import argparse
from functools import partial
from typing import Any

import numpy as np
from common import alternating, generated, median, report, scratch, session

from sparkml_dist import partition
from sparkml_dist.cluster.sums.over_shards import sum_over_shards
from sparkml_dist.dataset.block_sums import sum_over_blocks


def gram(block: Any) -> dict[str, Any]:
    return {"gram": block.X.T @ block.X, "sum": block.X.sum(axis=0), "rows": len(block)}


def ones(size: int, shard: int) -> dict[str, Any]:
    return {"ones": np.ones((size, size)), "rows": shard}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400_000)
    parser.add_argument("--features", type=int, default=100)
    parser.add_argument("--wide", type=int, default=4_000, help="side of the large matrix")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    spark = session("sums")
    from pyspark.ml.feature import VectorAssembler
    from pyspark.ml.stat import Summarizer
    from pyspark.mllib.linalg import Vectors
    from pyspark.mllib.linalg.distributed import RowMatrix

    with scratch() as folder:
        df = generated(spark, args.rows, args.features)
        path = str(folder / "shards")
        data = partition(df, path, label="label", shards=8)
        names = [f"f{j}" for j in range(args.features)]
        df.write.parquet(str(folder / "table"))
        table = spark.read.parquet(str(folder / "table"))
        vectors = VectorAssembler(inputCols=names, outputCol="x").transform(table).select("x")
        X = data.read_block(range(8), dtype=np.float64).X
        expected = X.T @ X

        def ours() -> Any:
            return sum_over_blocks(spark, data, gram)

        def row_matrix() -> Any:
            rows = vectors.rdd.map(lambda row: Vectors.fromML(row[0]))
            return RowMatrix(rows, args.rows, args.features).computeGramianMatrix().toArray()

        def tree_aggregate() -> Any:
            def of_partition(rows: Any) -> Any:
                part = np.array([row[0].toArray() for row in rows])
                yield part.T @ part

            return vectors.rdd.mapPartitions(of_partition).treeAggregate(
                np.zeros_like(expected), np.add, np.add
            )

        def summarizer() -> Any:
            kinds = Summarizer.metrics("mean", "variance", "count")
            return vectors.select(kinds.summary(vectors.x)).first()

        def large_ours() -> Any:
            return sum_over_shards(spark, 4, partial(ones, args.wide))

        def large_tree() -> Any:
            blocks = spark.sparkContext.parallelize(range(4), 4)
            return blocks.map(lambda s: ones(args.wide, s)["ones"]).treeReduce(np.add)

        def small_ours() -> Any:
            return sum_over_shards(spark, 8, partial(ones, 5))

        def small_tree() -> Any:
            blocks = spark.sparkContext.parallelize(range(8), 4)
            return blocks.map(lambda s: ones(5, s)["ones"]).treeReduce(np.add)

        assert np.allclose(ours()["gram"], expected, rtol=1e-12)
        assert np.allclose(row_matrix(), expected, rtol=1e-10)
        assert np.allclose(tree_aggregate(), expected, rtol=1e-10)
        times = alternating(
            args.repeats,
            ours=ours,
            row_matrix=row_matrix,
            tree_aggregate=tree_aggregate,
            summarizer=summarizer,
            in_memory=lambda: X.T @ X,
            small_ours=small_ours,
            small_tree=small_tree,
        )
        times |= alternating(3, large_ours=large_ours, large_tree=large_tree)
        took = {name: median(values) for name, values in times.items()}
        shape = f"{args.rows:,} x {args.features}"
        lines = (
            (f"Gram matrix of {shape}, 8 shards", "sum_over_blocks", "ours", "ours"),
            ("", "RowMatrix.computeGramianMatrix", "row_matrix", "ours"),
            ("", "RDD.treeAggregate of numpy", "tree_aggregate", "ours"),
            ("", "Summarizer (mean and variance only)", "summarizer", "ours"),
            ("", "numpy, all rows in memory", "in_memory", "ours"),
            ("8 shards of 25 numbers", "sum_over_shards", "small_ours", "small_ours"),
            ("", "RDD.treeReduce", "small_tree", "small_ours"),
            (
                f"4 shards of {args.wide:,} x {args.wide:,}",
                "sum_over_shards",
                "large_ours",
                "large_ours",
            ),
            ("", "RDD.treeReduce", "large_tree", "large_ours"),
        )
        rows = [
            {
                "sum": what,
                "by": by,
                "seconds": f"{took[name]:.3f}",
                "of ours": f"{took[name] / took[ours_]:.2f}",
            }
            for what, by, name, ours_ in lines
        ]
        report(
            "sums",
            f"Sums over shards, local[2], medians of {args.repeats} (3 of the large sum) in turn.",
            rows,
            target="a pass over 8 small shards in less than 0.5 s; a Gram matrix no slower than "
            "MLlib's RowMatrix",
            measured=f"{took['small_ours']:.2f} s; "
            f"{took['ours'] / took['row_matrix']:.2f} times RowMatrix's time",
            met=took["small_ours"] < 0.5 and took["ours"] <= took["row_matrix"],
            note="The sums of the RDD are added in another order each time; those of "
            "sum_over_shards are the same to the last bit, and run on Spark Connect as well.",
        )
    spark.stop()


if __name__ == "__main__":
    main()
