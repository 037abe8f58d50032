"""Algorithm selection at equal time: AutoClassifier, FLAML, H2O AutoML, LightGBM's defaults."""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, ROOT, report, scratch

CONTESTANTS = ("sparkml_dist", "flaml", "h2o", "lightgbm")
PEERS = ROOT / ".venv-peers" / "bin" / "python"
METRICS = {"auc": "larger", "log_loss": "smaller", "rmse": "smaller"}


def _split(X: Any, y: Any, share: float, seed: int) -> tuple[Any, Any, Any, Any]:
    order = np.random.default_rng(seed).permutation(len(y))
    held = round(share * len(y))
    return X[order[held:]], y[order[held:]], X[order[:held]], y[order[:held]]


def _svm(name: str) -> tuple[Any, Any]:
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(DATA / name))
    return X.toarray().astype(np.float32), np.unique(y, return_inverse=True)[1]


def letter(seed: int) -> Any:
    return (*_split(*_svm("letter.svm"), 0.2, seed), "log_loss")


def adult(seed: int) -> Any:
    return (*_split(*_svm("adult.svm"), 0.2, seed), "auc")


def higgs7k(seed: int) -> Any:
    both = [np.loadtxt(DATA / f"higgs7k.{part}.tsv") for part in ("train", "test")]
    rows = np.concatenate(both)
    return (*_split(rows[:, 1:].astype(np.float32), rows[:, 0].astype(int), 0.25, seed), "auc")


def mnist10k(seed: int) -> Any:
    def read(name: str, head: int) -> Any:
        return np.frombuffer(gzip.decompress((DATA / name).read_bytes()), np.uint8, offset=head)

    y = read("mnist10k-labels-idx1-ubyte.gz", 8).astype(int)
    X = read("mnist10k-images-idx3-ubyte.gz", 16).reshape(len(y), -1).astype(np.float32)
    return (*_split(X, y, 0.2, seed), "log_loss")


def kin40k(seed: int) -> Any:
    rows = np.concatenate([np.loadtxt(DATA / f"kin40k.{p}.txt.gz") for p in ("train", "test")])
    rows = rows[np.random.default_rng(seed).permutation(len(rows))[:20_000]]
    X, y = rows[:, :8].astype(np.float32), rows[:, 8]
    return X[:10_000], y[:10_000], X[10_000:], y[10_000:], "rmse"


PROBLEMS = (letter, adult, higgs7k, mnist10k, kin40k)


def score(metric: str, y: Any, predicted: Any) -> float:
    """Return a contestant's score on the held-out rows."""
    from sklearn.metrics import log_loss, roc_auc_score, root_mean_squared_error

    if metric == "rmse":
        return float(root_mean_squared_error(y, predicted))
    if metric == "auc":
        return float(roc_auc_score(y, predicted[:, 1]))
    clipped = np.clip(predicted, 1e-7, 1)
    return float(log_loss(y, clipped / clipped.sum(1, keepdims=True)))


def run(name: str, folder: Path, seconds: float, seed: int, y: Any, metric: str) -> dict[str, Any]:
    """Run a contestant in a process of its own; return its score and its seconds."""
    python = PEERS if name in ("flaml", "h2o", "lightgbm") else Path(sys.executable)
    script = ROOT / "benchmarks" / "peers" / "contestant.py"
    with (folder / f"{name}.log").open("w") as log:
        done = subprocess.run(
            [python, script, name, folder, str(seconds), str(seed)],
            stdout=log,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=4 * seconds + 300,
        )
    if done.returncode:
        tail = (folder / f"{name}.log").read_text()[-2_000:]
        print(f"{name} failed:\n{tail}", flush=True)
        return {"score": None, "seconds": None}
    predicted = np.load(folder / f"{name}.npz")["predicted"]
    spent = json.loads((folder / f"{name}.json").read_text())["seconds"]
    return {"score": score(metric, y, predicted), "seconds": spent}


def ranks(found: dict[str, dict[str, Any]], metric: str) -> dict[str, float]:
    """Return the rank of each contestant, equal ones with their mean rank; failures last."""
    from scipy.stats import rankdata

    sign = -1.0 if METRICS[metric] == "larger" else 1.0
    losses = [np.inf if r["score"] is None else sign * r["score"] for r in found.values()]
    return dict(zip(found, rankdata(losses).tolist(), strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--problems", nargs="+", default=[p.__name__ for p in PROBLEMS])
    parser.add_argument("--contestants", nargs="+", default=list(CONTESTANTS))
    parser.add_argument(
        "--kept",
        type=Path,
        default=ROOT / "build" / "bench" / "automl.jsonl",
        help="results are added here, and those that are there are not measured again",
    )
    parser.add_argument("--logs", type=Path, help="folder to keep the contestants' output in")
    arguments = parser.parse_args()
    arguments.kept.parent.mkdir(parents=True, exist_ok=True)
    kept = []
    if arguments.kept.exists():
        kept = [json.loads(line) for line in arguments.kept.read_text().splitlines()]
    for seed in arguments.seeds:
        for problem in (p for p in PROBLEMS if p.__name__ in arguments.problems):
            with scratch() as folder:
                X, y, X_test, y_test, metric = problem(seed)
                np.savez(folder / "data.npz", X=X, y=y, X_test=X_test)
                task = {"regression": metric == "rmse", "metric": metric}
                (folder / "task.json").write_text(json.dumps(task))
                for name in arguments.contestants:
                    key = {
                        "problem": problem.__name__,
                        "seed": seed,
                        "budget": arguments.seconds,
                        "contestant": name,
                    }
                    if any(key.items() <= entry.items() for entry in kept):
                        continue
                    result = run(name, folder, arguments.seconds, seed, y_test, metric)
                    entry = {**key, "metric": metric, **result}
                    print(json.dumps(entry), flush=True)
                    kept.append(entry)
                    with arguments.kept.open("a") as file:
                        file.write(json.dumps(entry) + "\n")
                    if arguments.logs is not None:
                        arguments.logs.mkdir(parents=True, exist_ok=True)
                        text = (folder / f"{name}.log").read_text()
                        (arguments.logs / f"{problem.__name__}-{seed}-{name}.log").write_text(text)
    _table(kept, arguments)


def _table(kept: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    chosen = [
        e
        for e in kept
        if e["budget"] == arguments.seconds
        and e["seed"] in arguments.seeds
        and e["problem"] in arguments.problems
        and e["contestant"] in arguments.contestants
    ]
    groups: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for entry in chosen:
        groups.setdefault((entry["problem"], entry["seed"]), {})[entry["contestant"]] = entry
    placed: dict[str, list[float]] = {}
    for found in groups.values():
        metric = next(iter(found.values()))["metric"]
        for name, rank in ranks(found, metric).items():
            placed.setdefault(name, []).append(rank)
    rows = []
    for problem in dict.fromkeys(e["problem"] for e in chosen):
        own = [e for e in chosen if e["problem"] == problem]
        row = {"data": problem, "score": own[0]["metric"]}
        for name in arguments.contestants:
            values = [e["score"] for e in own if e["contestant"] == name and e["score"] is not None]
            row[name] = _shown(values)
        rows.append(row)
    mean_ranks = {name: float(np.mean(values)) for name, values in placed.items()}
    rows.append(
        {"data": "mean rank", "score": ""}
        | {name: f"{mean_ranks.get(name, np.nan):.2f}" for name in arguments.contestants}
    )
    late = {
        name: max((e["seconds"] or 0.0) for e in chosen if e["contestant"] == name)
        for name in arguments.contestants
        if any(e["contestant"] == name for e in chosen)
    }
    rows.append(
        {"data": "longest fit, s", "score": ""}
        | {name: f"{late.get(name, np.nan):.1f}" for name in arguments.contestants}
    )
    ours = mean_ranks.get("sparkml_dist", np.inf)
    first = all(ours <= rank for name, rank in mean_ranks.items() if name != "sparkml_dist")
    in_time = late.get("sparkml_dist", np.inf) <= 1.1 * arguments.seconds
    seeds = ", ".join(map(str, arguments.seeds))
    report(
        "automl" if arguments.seconds == 60 else f"automl_{arguments.seconds:.0f}s",
        f"Scores on held-out rows after {arguments.seconds:.0f} s on two cores, seeds {seeds}: mean"
        " and, with several seeds, standard error. Each contestant runs in a process of its own on"
        " the same machine and rows; the start of Spark and of H2O's server is not counted.",
        rows,
        target="mean rank first or equal; time exceeded by 10 % at most",
        measured=f"mean rank {ours:.2f}, longest fit {late.get('sparkml_dist', np.nan):.1f} s",
        met=bool(first and in_time),
    )


def _shown(values: list[float]) -> str:
    if not values:
        return "failed"
    text = f"{np.mean(values):.4f}"
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.4f}"
    return text


if __name__ == "__main__":
    main()
