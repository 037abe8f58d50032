"""Algorithm selection at equal time: AutoClassifier, FLAML, H2O AutoML, LightGBM's defaults."""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import time
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
        default=ROOT / "benchmarks" / "results" / "automl.jsonl",
        help="results are added here one by one, and those that are there are not measured again: "
        "seeds may be run on several days",
    )
    parser.add_argument("--minutes", type=float, help="begin no further fit after so many minutes")
    parser.add_argument("--table", action="store_true", help="only write the table anew")
    parser.add_argument("--logs", type=Path, help="folder to keep the contestants' output in")
    arguments = parser.parse_args()
    arguments.kept.parent.mkdir(parents=True, exist_ok=True)
    kept = []
    if arguments.kept.exists():
        kept = [json.loads(line) for line in arguments.kept.read_text().splitlines()]
    if not arguments.table:
        _measure(kept, arguments)
    _table(kept, arguments)


def _measure(kept: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Run what is not among the kept results, and add it to them."""
    begun = time.monotonic()
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
                    spent = (time.monotonic() - begun) / 60
                    if arguments.minutes is not None and spent > arguments.minutes:
                        return
                    result = run(name, folder, arguments.seconds, seed, y_test, metric)
                    entry = {**key, "metric": metric, **result, "commit": commit()}
                    print(json.dumps(entry), flush=True)
                    kept.append(entry)
                    with arguments.kept.open("a") as file:
                        file.write(json.dumps(entry) + "\n")
                    if arguments.logs is not None:
                        arguments.logs.mkdir(parents=True, exist_ok=True)
                        text = (folder / f"{name}.log").read_text()
                        (arguments.logs / f"{problem.__name__}-{seed}-{name}.log").write_text(text)


def commit() -> str:
    """Return the commit of the checkout, shortened; "" outside of one."""
    done = subprocess.run(
        ["git", "-C", ROOT, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        check=False,
        text=True,
    )
    return done.stdout.strip()


def _table(kept: list[dict[str, Any]], arguments: argparse.Namespace) -> None:
    """Write the table of the seeds for which all contestants have a result."""
    names = arguments.contestants
    groups: dict[tuple[str, int], dict[str, dict[str, Any]]] = {}
    for entry in kept:
        if entry["budget"] == arguments.seconds and entry["contestant"] in names:
            groups.setdefault((entry["problem"], entry["seed"]), {})[entry["contestant"]] = entry
    whole = {
        key: found
        for key, found in groups.items()
        if key[0] in arguments.problems and len(found) == len(names)
    }
    if not whole:
        print("no seed of a data set has a result of every contestant")
        return
    placed: dict[str, list[float]] = {name: [] for name in names}
    rows, seeds_of, behind = [], {}, []
    for problem in dict.fromkeys(name for name, _ in whole):
        own = {seed: found for (name, seed), found in sorted(whole.items()) if name == problem}
        metric = next(iter(next(iter(own.values())).values()))["metric"]
        for found in own.values():
            for name, rank in ranks(found, metric).items():
                placed[name].append(rank)
        seeds_of[problem] = sorted(own)
        scores = {name: [found[name]["score"] for found in own.values()] for name in names}
        row = {"data": problem, "score": metric, "seeds": len(own)}
        rows.append(row | {name: _shown(scores[name]) for name in names})
        if "sparkml_dist" in names and not _first(scores, METRICS[metric] == "larger"):
            behind.append(problem)
    entries = [entry for found in whole.values() for entry in found.values()]
    mean_ranks = {name: float(np.mean(placed[name])) for name in names}
    late = {n: max(e["seconds"] or 0.0 for e in entries if e["contestant"] == n) for n in names}
    rows.append(
        {"data": "mean rank", "score": "", "seeds": len(whole)}
        | {name: f"{mean_ranks[name]:.2f}" for name in names}
    )
    rows.append(
        {"data": "longest fit, s", "score": "", "seeds": len(whole)}
        | {name: f"{late[name]:.1f}" for name in names}
    )
    ours = mean_ranks.get("sparkml_dist", np.inf)
    first = all(ours <= rank for rank in mean_ranks.values())
    longest = late.get("sparkml_dist", np.inf)
    number = min(map(len, seeds_of.values()))
    commits = ", ".join(sorted({e.get("commit") or "unknown" for e in entries}))
    missing = len(groups) - len(whole)
    report(
        "automl" if arguments.seconds == 60 else f"automl_{arguments.seconds:.0f}s",
        f"Scores on held-out rows after {arguments.seconds:.0f} s on two cores: mean and, with "
        "several seeds, standard error. Each contestant runs in a process of its own on the same "
        "machine and rows; the start of Spark and of H2O's server is not counted. **Seeds: "
        + "; ".join(f"{p} {len(s)} ({_ranges(s)})" for p, s in seeds_of.items())
        + ".**",
        rows,
        target="ten seeds; mean rank first or equal; on each data set first or within a standard "
        "error of the first; time exceeded by 10 % at most",
        measured=f"{number} seed{'s' * (number != 1)} of each data set; mean rank {ours:.2f}, "
        f"behind on {', '.join(behind) or 'none'}, longest fit {longest:.1f} s",
        met=first and not behind and longest <= 1.1 * arguments.seconds and number >= 10,
        note=f"Commits that were measured: {commits}. Of {missing} further pairs of data set and "
        "seed some contestants have no result yet: they are not counted.",
    )


def _first(scores: dict[str, list[float | None]], larger: bool) -> bool:
    """Tell whether ours is first, or behind the first by a standard error at most, seed by seed."""
    worst = -np.inf if larger else np.inf
    filled = {n: np.array([worst if v is None else v for v in x]) for n, x in scores.items()}
    sign = 1.0 if larger else -1.0
    best = max(filled, key=lambda name: sign * filled[name].mean())
    if best == "sparkml_dist":
        return True
    lead = sign * (filled[best] - filled["sparkml_dist"])
    error = lead.std(ddof=1) / np.sqrt(len(lead)) if len(lead) > 1 else 0.0
    return bool(lead.mean() <= error)


def _ranges(seeds: list[int]) -> str:
    """Return numbers as text, those in a row as a range."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][-1] + 1:
            runs[-1].append(seed)
        else:
            runs.append([seed])
    return ", ".join(str(r[0]) if len(r) == 1 else f"{r[0]} to {r[-1]}" for r in runs)


def _shown(scores: list[float | None]) -> str:
    values = [value for value in scores if value is not None]
    failed = len(scores) - len(values)
    if not values:
        return "failed"
    text = f"{np.mean(values):.4f}"
    if len(values) > 1:
        text += f" ± {np.std(values, ddof=1) / np.sqrt(len(values)):.4f}"
    return text + (f" ({failed} failed)" if failed else "")


if __name__ == "__main__":
    main()
