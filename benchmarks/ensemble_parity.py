"""Parity: every method on 1, 4 and 16 shards against scikit-learn's, trained in RAM on all rows."""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, report, scratch, session

from sparkml_dist import BaggingClassifier, VotingClassifier, partition
from sparkml_dist.ensemble.adaboost.adaboost import AdaBoostClassifier
from sparkml_dist.ensemble.adaboost.adaboost_pl import AdaBoostPLClassifier
from sparkml_dist.ensemble.bagging.ivotes import IVotesClassifier
from sparkml_dist.ensemble.gradient_boosting.gradient_boosting import GradientBoostingClassifier
from sparkml_dist.ensemble.stacking.stacking import StackingClassifier
from sparkml_dist.ensemble.voting.selection import EnsembleSelectionClassifier

MEMBERS = 16


@dataclass(frozen=True)
class Entry:
    """A method here, and its counterpart in scikit-learn where there is one."""

    ours: Callable[[int], Any]
    theirs: Callable[[int], Any] | None
    global_state: bool = False
    most_shards: int = 1  # that a member learns from


def entries() -> dict[str, Entry]:
    """Return the methods that are compared, by name."""
    from sklearn import ensemble as sk
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import GaussianNB
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    def tree(**settings: Any) -> Any:
        return DecisionTreeClassifier(**settings)

    def kinds(s: int) -> list[tuple[str, Any]]:
        return [
            ("tree", tree(max_depth=12, random_state=s)),
            ("bayes", GaussianNB(var_smoothing=1e-3)),
            ("linear", LogisticRegression(max_iter=200, C=0.1)),
        ]

    def bag(s: int, method: str, **more: Any) -> Any:
        settings = {"estimator": tree(), "numMembers": MEMBERS, "method": method, "seed": s}
        return BaggingClassifier(**(settings | more))

    def sk_bag(s: int, **more: Any) -> Any:
        return sk.BaggingClassifier(tree(), n_estimators=MEMBERS, random_state=s, **more)

    final = LogisticRegression(max_iter=300)
    boosted = tree(max_depth=8)
    return {
        "bagging": Entry(lambda s: bag(s, "bagging", maxSamples=1.0), sk_bag),
        "bagging, several shards a member": Entry(
            lambda s: bag(s, "bagging", maxSamples=1.0), sk_bag, most_shards=4
        ),
        "pasting 0.7": Entry(
            lambda s: bag(s, "pasting", maxSamples=0.7),
            lambda s: sk_bag(s, bootstrap=False, max_samples=0.7),
        ),
        "subspaces": Entry(
            lambda s: bag(s, "subspaces"), lambda s: sk_bag(s, bootstrap=False, max_features=0.5)
        ),
        "patches": Entry(
            lambda s: bag(s, "patches"),
            lambda s: sk_bag(s, bootstrap=False, max_features=0.5, max_samples=0.7),
        ),
        "voting": Entry(
            lambda s: VotingClassifier(estimators=kinds(s), seed=s),
            lambda s: sk.VotingClassifier(kinds(s), voting="soft"),
        ),
        "AdaBoost": Entry(
            lambda s: AdaBoostClassifier(estimator=boosted, numMembers=MEMBERS, seed=s),
            lambda s: sk.AdaBoostClassifier(boosted, n_estimators=MEMBERS, random_state=s),
            global_state=True,
        ),
        "AdaBoost.PL": Entry(
            lambda s: AdaBoostPLClassifier(estimator=boosted, numMembers=MEMBERS, seed=s),
            lambda s: sk.AdaBoostClassifier(boosted, n_estimators=MEMBERS, random_state=s),
        ),
        "gradient boosting": Entry(
            lambda s: GradientBoostingClassifier(
                estimator=DecisionTreeRegressor(max_depth=4), numMembers=MEMBERS, seed=s
            ),
            lambda s: sk.GradientBoostingClassifier(
                n_estimators=MEMBERS, max_depth=4, criterion="squared_error", random_state=s
            ),
        ),
        "stacking": Entry(
            lambda s: StackingClassifier(estimators=kinds(s), finalEstimator=final, seed=s),
            lambda s: sk.StackingClassifier(kinds(s), final, cv=5),
            global_state=True,
            most_shards=16,
        ),
        "stacking, a shard a member": Entry(
            lambda s: StackingClassifier(estimators=kinds(s), finalEstimator=final, seed=s),
            lambda s: sk.StackingClassifier(kinds(s), final, cv=5),
        ),
        "selection": Entry(
            lambda s: EnsembleSelectionClassifier(estimators=kinds(s), seed=s),
            None,
            global_state=True,
            most_shards=16,
        ),
        "IVotes": Entry(lambda s: IVotesClassifier(estimator=tree(), numMembers=100, seed=s), None),
    }


def accuracy(model: Any, X: Any, y: Any) -> float:
    return float(np.mean(model.predict(X) == y))


def measured(
    spark: Any, name: str, path: Path, arguments: argparse.Namespace
) -> list[dict[str, Any]]:
    """Compare all methods on one data set."""
    from sparkml_dist import split
    from sparkml_dist.tables.read import read_table

    table = read_table(spark, str(path))
    chosen = {k: e for k, e in entries().items() if not arguments.only or k in arguments.only}
    found: dict[tuple[str, int], list[tuple[float, float]]] = {}
    plain: dict[tuple[str, int], float] = {}
    for seed in range(arguments.seeds):
        train, test = split(table.df, 0.2, seed=seed)
        with scratch() as folder:
            rest = partition(test, folder / "test", label=table.label, shards=1).read_block(0)
            X_test = rest.X.toarray() if hasattr(rest.X, "toarray") else rest.X
            for shards in arguments.shards:
                home = folder / f"{shards}"
                data = partition(train, home, label=table.label, shards=shards, seed=seed)
                block = data.read_block(range(shards))
                X = block.X.toarray() if hasattr(block.X, "toarray") else block.X
                for key, entry in chosen.items():
                    start = time.perf_counter()
                    estimator = entry.ours(seed)
                    if entry.most_shards > 1:
                        estimator.setParams(shardsPerMember=min(shards, entry.most_shards))
                    model = estimator.fit(data)
                    predict = model._scorer().load()
                    ours = float(np.mean(predict(rest.X).argmax(axis=1) == rest.y))
                    theirs = float("nan")
                    if entry.theirs is not None:
                        if (key, seed) not in plain:
                            fitted = entry.theirs(seed).fit(X, block.y)
                            plain[key, seed] = accuracy(fitted, X_test, rest.y)
                        theirs = plain[key, seed]
                    found.setdefault((key, shards), []).append((ours, theirs))
                    spent = time.perf_counter() - start
                    print(
                        f"{name} {seed} {shards} {key}: {ours:.4f} {theirs:.4f} {spent:.0f} s",
                        flush=True,
                    )
    return [_row(name, key, chosen[key], found, arguments.shards) for key in chosen]


def _row(
    data: str,
    key: str,
    entry: Entry,
    found: dict[tuple[str, int], list[tuple[float, float]]],
    shards: list[int],
) -> dict[str, Any]:
    row: dict[str, Any] = {"data": data, "method": key}
    theirs = [t for _, t in found[key, shards[0]]]
    row["scikit-learn"] = "" if entry.theirs is None else f"{np.mean(theirs):.4f}"
    held = []
    for n in shards:
        pairs = np.array(found[key, n])
        row[f"{n} shard{'s' * (n > 1)}"] = f"{pairs[:, 0].mean():.4f}"
        if entry.theirs is not None and (n == 1 or (entry.global_state and n == 4)):
            gaps = pairs[:, 0] - pairs[:, 1]
            error = gaps.std(ddof=1) / np.sqrt(len(gaps)) if len(gaps) > 1 else 0.0
            spread = pairs[:, 1].std(ddof=1) if len(gaps) > 1 else 0.0
            good = gaps.mean() >= -max(error, spread / np.sqrt(len(gaps)))
            held.append(f"{n}: {gaps.mean():+.4f} ± {error:.4f} {'yes' if good else 'NO'}")
    row["difference ± standard error"] = "; ".join(held)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--shards", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--sets", nargs="+", default=["letter", "adult"])
    parser.add_argument("--only", nargs="+", help="names of methods")
    parser.add_argument("--name", default="ensemble_parity", help="of the table")
    arguments = parser.parse_args()
    warnings.filterwarnings("ignore")
    spark = session("ensemble_parity")
    rows: list[dict[str, Any]] = []
    for name in arguments.sets:
        rows += measured(spark, name, arguments.data / f"{name}.svm", arguments)
    spark.stop()
    missed = [
        f"{r['data']} {r['method']}" for r in rows if "NO" in r["difference ± standard error"]
    ]
    compared = [r for r in rows if r["difference ± standard error"]]
    report(
        arguments.name,
        f"Accuracy on a fifth of the rows, held out; means over {arguments.seeds} seeds; "
        f"{MEMBERS} members, rounds or stages. 'yes': not worse than scikit-learn in RAM by more "
        "than a standard error over the seeds.",
        rows,
        target="every method at one shard, and those with global state at 4, within one standard "
        "error of scikit-learn",
        measured=f"{len(compared) - len(missed)} of {len(compared)} rows"
        + (f"; missed: {', '.join(missed)}" if missed else ""),
        met=not missed,
    )


if __name__ == "__main__":
    main()
