"""Frequent itemsets against MLlib's FPGrowth, from a cached DataFrame to a counted result.

With pyfim (extra ``bench``): the mining alone, against its Eclat and FP-growth, in one thread.
"""

from __future__ import annotations

import argparse
import os
import time
from typing import TYPE_CHECKING, Any

from common import DATA, alternating, median, report, session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

# data, support, itemsets, times faster than MLlib that is asked for
CASES = (
    ("T10I4D100K", 0.001, 27_532, 8.0),
    ("T10I4D100K", 0.005, 1_073, 8.0),
    ("mushroom", 0.1, 574_431, 1.0),
    ("chess", 0.8, 8_227, 1.0),
)
PYFIM_TARGET = 3.0


def lines(name: str) -> list[list[str]]:
    if name != "mushroom":
        text = (DATA / f"{name}.dat").read_text()
        return [line.split() for line in text.splitlines() if line.strip()]
    text = "".join((DATA / f"agaricus.{part}.svm").read_text() for part in ("train", "test"))
    rows = [line.split() for line in text.splitlines()]
    return [[f"label={row[0]}", *(p.split(":")[0] for p in row[1:])] for row in rows]


def cached(spark: SparkSession, name: str) -> DataFrame:
    import pyarrow as pa

    df = spark.createDataFrame(pa.table({"items": lines(name)})).repartition(2).cache()
    df.count()
    return df


def against_mllib(spark: SparkSession, repeats: int) -> tuple[list[dict[str, Any]], list[float]]:
    from pyspark.ml.fpm import FPGrowth

    from sparkml_dist import FrequentItemsets

    rows, shares = [], []
    for name, support, wanted, target in CASES:
        df = cached(spark, name)

        def ours(df: DataFrame = df, support: float = support, wanted: int = wanted) -> None:
            model = FrequentItemsets(minSupport=support).fit(df)
            assert model.itemsets.count() == wanted
            model.unpersist()

        def mllib(df: DataFrame = df, support: float = support, wanted: int = wanted) -> None:
            found = FPGrowth(itemsCol="items", minSupport=support).fit(df)
            assert found.freqItemsets.count() == wanted

        ours()
        times = alternating(repeats, ours=ours, mllib=mllib)
        faster = median(times["mllib"]) / median(times["ours"])
        shares.append(faster / target)
        rows.append(
            {
                "data": name,
                "support": f"{support:.1%}",
                "itemsets": f"{wanted:,}",
                "MLlib FPGrowth, s": f"{median(times['mllib']):.2f}",
                "FrequentItemsets, s": f"{median(times['ours']):.2f}",
                "times faster": f"{faster:.1f}",
                "asked for": f"{target:.0f}",
            }
        )
        df.unpersist()
    return rows, shares


def against_pyfim(repeats: int) -> tuple[list[str], list[float]]:
    """Mine encoded baskets in this process, and with pyfim."""
    try:
        import fim
    except ImportError:
        return ["pyfim is not installed: the mining alone was not compared."], []
    import numpy as np
    import pyarrow as pa

    from sparkml_dist.mining.itemsets.item_counts import Threshold
    from sparkml_dist.mining.itemsets.mining_task import Mining
    from sparkml_dist.mining.itemsets.vocabulary import Vocabulary

    notes, ratios = [], []
    for name, support, wanted, _ in CASES:
        baskets = lines(name)
        least = Threshold(support, None).count(len(baskets))
        flat = pa.array([item for basket in baskets for item in basket]).dictionary_encode()
        codes = flat.indices.to_numpy()
        counts = np.bincount(codes)
        kept = np.flatnonzero(counts >= least)
        vocabulary = Vocabulary.of(flat.dictionary.take(pa.array(kept)), counts[kept])
        lengths = np.array([len(basket) for basket in baskets])
        mining = Mining(vocabulary, least, "frequent", None)

        def ours(args: Any = (flat.dictionary, lengths, codes), mining: Mining = mining) -> int:
            rows = mining.vocabulary.ranked(*args).merged()
            firsts = np.arange(len(mining.vocabulary))
            return sum(len(found) for found in mining.run(rows, firsts))

        def eclat(baskets: Any = baskets, least: int = least) -> int:
            return len(fim.eclat(baskets, supp=-least, report="a"))

        def fpgrowth(baskets: Any = baskets, least: int = least) -> int:
            return len(fim.fpgrowth(baskets, supp=-least, report="a"))

        assert ours() == wanted
        times = alternating(repeats, ours=ours, eclat=eclat, fpgrowth=fpgrowth)
        best = min(median(times["eclat"]), median(times["fpgrowth"]))
        ratios.append(median(times["ours"]) / best)
        notes.append(
            f"{name} at {support:.1%}: {median(times['ours']):.3f} s against {best:.3f} s "
            f"({ratios[-1]:.2f})"
        )
    return notes, ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy is imported
        os.environ[name] = "1"
    start = time.perf_counter()
    notes, ratios = against_pyfim(args.repeats)
    spark = session("itemsets")
    rows, shares = against_mllib(spark, args.repeats)
    spark.stop()
    met = min(shares) >= 1 and bool(ratios) and max(ratios) <= PYFIM_TARGET
    report(
        "mining_itemsets",
        "Seconds (medians) from a cached DataFrame to a counted table of all frequent itemsets, "
        "on `local[2]`.",
        rows,
        target="8 times faster than MLlib on T10I4D100K, no slower on mushroom and chess; mining "
        f"alone at most {PYFIM_TARGET:.0f} times pyfim's better algorithm",
        measured=", ".join(f"{row['times faster']}" for row in rows)
        + (f"; at most {max(ratios):.2f} times pyfim" if ratios else "; pyfim not compared"),
        met=met,
        note="Mining alone, in one thread, from items coded in the order of their appearance (ours)"
        " or from lists of strings (pyfim), to all itemsets in memory: "
        + "; ".join(notes)
        + f". The whole run took {time.perf_counter() - start:.0f} s.",
    )


if __name__ == "__main__":
    main()
