"""Federated strategies against training in each silo alone and on all rows in one place.

Heart disease at four hospitals (a third of each hospital's rows is held out), letter
and MNIST's 10,000 images over ten silos whose labels are skewed (Dirichlet, alpha = .1), and letter
with two of ten silos poisoned, for robust rules against the mean. All silos are in memory, without
Spark.

    python benchmarks/federated_strategies.py [--only heart letter mnist poisoned] \
        [--seeds 5] [--first-seed 5]
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
from common import DATA, report

from sparkml_dist.federated import Answer, Federation
from sparkml_dist.federated.strategies.aggregation.aggregation_of import aggregation_of
from sparkml_dist.federated.strategies.aggregation.trimmed_mean import TrimmedMean
from sparkml_dist.federated.strategies.fedadagrad import FedAdagrad
from sparkml_dist.federated.strategies.fedadam import FedAdam
from sparkml_dist.federated.strategies.fedavg import FedAvg
from sparkml_dist.federated.strategies.fedavgm import FedAvgM
from sparkml_dist.federated.strategies.feddyn import FedDyn
from sparkml_dist.federated.strategies.fednova import FedNova
from sparkml_dist.federated.strategies.fedprox import FedProx
from sparkml_dist.federated.strategies.fedyogi import FedYogi
from sparkml_dist.federated.strategies.rounds import RoundSettings, train_rounds
from sparkml_dist.federated.strategies.scaffold import Scaffold
from sparkml_dist.federated.training.flat_model import FlatModel
from sparkml_dist.federated.training.linear import Linear
from sparkml_dist.federated.training.local_training import LocalSettings
from sparkml_dist.federated.training.moments_work import find_standardization
from sparkml_dist.federated.training.perceptron import Perceptron

Rows = tuple[np.ndarray, np.ndarray]
Silos = dict[str, Rows]
MakeModel = Callable[[int, int], FlatModel]

HOSPITALS = ("cleveland", "hungarian", "switzerland", "va")
# Age, sex, kind of pain, blood pressure, cholesterol, sugar, cardiogram, rate, angina, depression:
# the columns that are mostly there at all hospitals, as FLamby takes them.
HEART_COLUMNS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9)


def heart(seed: int) -> tuple[Silos, Rows]:
    """Return training rows by hospital, and the held-out rows of all."""
    rng = np.random.default_rng(seed)
    silos: Silos = {}
    held: list[Rows] = []
    for name in HOSPITALS:
        table = np.genfromtxt(DATA / f"heart-{name}.csv", delimiter=",", skip_header=1)
        table[table == -9] = np.nan
        table = table[~np.isnan(table[:, HEART_COLUMNS]).any(axis=1)]
        kinds = [table[:, [c]] == k for c, k in ((2, 2), (2, 3), (2, 4), (6, 1), (6, 2))]
        numbers = table[:, [c for c in HEART_COLUMNS if c not in (2, 6)]]
        X, y = np.hstack([numbers, *kinds]).astype(float), (table[:, 13] > 0).astype(int)
        order = rng.permutation(len(y))
        cut = len(y) // 3
        held.append((X[order[:cut]], y[order[:cut]]))
        silos[name] = (X[order[cut:]], y[order[cut:]])
    return silos, _joined(held)


def skewed(X: np.ndarray, y: np.ndarray, seed: int, silos: int = 10) -> tuple[Silos, Rows]:
    """Return a fifth of the rows as test rows, and the others in silos with skewed labels."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    test, train = order[: len(y) // 5], order[len(y) // 5 :]
    parts: list[list[int]] = [[] for _ in range(silos)]
    for label in np.unique(y):
        own = train[y[train] == label]
        cuts = (np.cumsum(rng.dirichlet(np.full(silos, 0.1))) * len(own)).astype(int)[:-1]
        for part, rows in zip(parts, np.split(own, cuts), strict=True):
            part.extend(rows.tolist())
    found = {f"silo{i}": (X[p], y[p]) for i, p in enumerate(parts) if p}
    return found, (X[test], y[test])


def letter() -> Rows:
    """Return 20,000 letters of 16 features."""
    from sklearn.datasets import load_svmlight_file

    X, y = load_svmlight_file(str(DATA / "letter.svm"))
    return X.toarray(), np.unique(y, return_inverse=True)[1]


def mnist() -> Rows:
    """Return 10,000 images of 784 pixels."""
    with gzip.open(DATA / "mnist10k-images-idx3-ubyte.gz") as stream:
        X = np.frombuffer(stream.read(), np.uint8, offset=16).reshape(-1, 784) / 255.0
    with gzip.open(DATA / "mnist10k-labels-idx1-ubyte.gz") as stream:
        return X, np.frombuffer(stream.read(), np.uint8, offset=8).astype(int)


def _joined(parts: list[Rows]) -> Rows:
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def trained(
    silos: Silos,
    test: Rows,
    make: MakeModel,
    strategy: Any,
    settings: RoundSettings,
    classes: int,
    alter: Any = None,
) -> tuple[float, list[float]]:
    """Return the accuracy on the test rows, and on each silo's own rows."""
    federation = Federation.in_memory(silos, alter=alter, seed=settings.seed)
    standardization, n = find_standardization(federation)
    model = make(standardization.width, classes)
    done = train_rounds(federation, model, strategy, settings, standardization, n)

    def accuracy(rows: Rows) -> float:
        found = model.predict(
            done.parameters, done.buffers, standardization.standardized(rows[0])
        ).argmax(axis=1)
        return float((np.array(federation.schema.classes)[found] == rows[1]).mean())

    return accuracy(test), [accuracy(rows) for rows in silos.values()]


def compared(
    silos: Silos,
    test: Rows,
    make: MakeModel,
    strategies: dict[str, tuple[Any, dict[str, Any]]],
    settings: dict[str, Any],
    classes: int,
    seed: int,
) -> dict[str, float]:
    """Return test accuracies of strategies, of all rows in one place, and of each silo alone."""

    def run(strategy: Any, own: Silos, **changed: Any) -> float:
        given = {**settings, **changed}
        local = LocalSettings(**given.pop("local"))
        rounds = RoundSettings(local=local, evaluate_every=0, seed=seed, **given)
        return trained(own, test, make, strategy, rounds, classes)[0]

    found = {"pooled": run(FedAvg(), {"all": _joined(list(silos.values()))})}
    for name, (strategy, changed) in strategies.items():
        found[name] = run(strategy, silos, **changed)
    alone = []
    for name, rows in silos.items():
        if len(np.unique(rows[1])) < 2:
            alone.append(float((test[1] == rows[1][0]).mean()))
        else:
            count = len(np.unique(rows[1]))
            alone.append(_alone(name, rows, test, make, settings, count, seed))
    found["local only (mean over silos)"] = float(np.mean(alone))
    return found


def _alone(
    name: str,
    rows: Rows,
    test: Rows,
    make: MakeModel,
    settings: dict[str, Any],
    classes: int,
    seed: int,
) -> float:
    given = dict(settings)
    rounds = RoundSettings(
        local=LocalSettings(**given.pop("local")), evaluate_every=0, seed=seed, **given
    )
    return trained({name: rows}, test, make, FedAvg(), rounds, classes)[0]


def poison(kind: str, rng: np.random.Generator) -> Callable[[Answer, Any], Answer]:
    """Return what a silo does to its answers: turns signs around, or adds much noise."""

    def alter(answer: Answer, _: Any) -> Answer:
        if "delta" not in answer.arrays:
            return answer
        delta = answer.arrays["delta"]
        noise = 100 * np.sqrt(np.mean(delta**2)) * rng.standard_normal(delta.shape)
        changed = -5 * delta if kind == "sign flip" else delta + noise
        return Answer(answer.facts, {**answer.arrays, "delta": changed})

    return alter


ATTACKS = ("label flip", "sign flip", "noise × 100")


def poisoned(rounds: int, seed: int) -> list[dict[str, Any]]:
    """Return accuracies of rules on letter, by attack of two of ten silos."""
    X, y = letter()
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(y))
    test = (X[order[:4000]], y[order[:4000]])
    # Robust rules presume that honest silos are alike: equal parts here.
    parts = np.array_split(order[4000:], 10)
    honest = {f"silo{i}": (X[p], y[p]) for i, p in enumerate(parts)}
    rules = {
        "mean": "mean",
        "median": "median",
        "trimmed mean": TrimmedMean(share=0.2),
        "Krum": {"name": "krum", "faults": 2},
        "multi-Krum": {"name": "multiKrum", "faults": 2},
        "Bulyan (1 fault)": "bulyan",
        "norm clipping": "normClipping",
    }
    local = LocalSettings(epochs=1, batch_size=32, rate=0.1)
    table: list[dict[str, Any]] = []
    for name, rule in rules.items():
        line: dict[str, Any] = {"rule": name}
        for attack in ("none", *ATTACKS):
            silos, alter = dict(honest), None
            if attack == "label flip":
                for bad in ("silo0", "silo1"):
                    silos[bad] = (honest[bad][0], 25 - honest[bad][1])
            elif attack != "none":
                alter = {s: poison(attack, np.random.default_rng(7)) for s in ("silo0", "silo1")}
            settings = RoundSettings(
                rounds=rounds,
                local=local,
                evaluate_every=0,
                aggregation=aggregation_of(rule),
                seed=seed,
            )
            found = trained(silos, test, Linear, FedAvg(), settings, 26, alter)[0]
            line[attack] = round(found, 4)
        table.append(line)
    return table


def main() -> None:
    """Run what is asked for, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ("heart", "letter", "mnist", "poisoned")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=5, help="0 to 4 and 100 were tuned on")
    parser.add_argument("--rounds", type=int, default=0, help="rounds, to try it out")
    asked = parser.parse_args()
    for name in asked.only:
        _report(name, *PARTS[name](asked))


def _strategies(name: str, asked: argparse.Namespace) -> tuple[Any, ...]:
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    if name == "heart":
        chosen, tried = _heart_settings(asked.rounds or 8), ""
    else:
        chosen, tried = _tuned(name, asked.rounds or ROUNDS)
    runs = [_compared(name, seed, *chosen) for seed in seeds]
    means = {n: float(np.mean([run[n] for run in runs])) for n in runs[0]}
    rows = [
        {
            "strategy": n,
            "settings": _said(chosen[1][n][0]) if n in chosen[1] else "",
            "accuracy": round(mean, 4),
            "deviation": round(float(np.std([run[n] for run in runs])), 4),
            "seeds above fedavg": f"{sum(r[n] > r['fedavg'] for r in runs)} of {len(runs)}",
        }
        for n, mean in means.items()
    ]
    ours = {n: v for n, v in means.items() if n != "pooled" and not n.startswith("local")}
    best = max(ours, key=lambda n: ours[n])
    said = (
        f"best {best} {ours[best]:.4f}, fedavg {ours['fedavg']:.4f}, pooled {means['pooled']:.4f}"
    )
    local = chosen[0]["local"]
    note = (
        f"Seeds {seeds[0]} to {seeds[-1]}; {chosen[0]['rounds']} rounds; in each silo and round "
        f"{', '.join(f'{v:g} {k}' for k, v in local.items())}. "
    )
    if name == "heart":
        met = ours["fedadam"] >= 0.78 and ours[best] >= means["pooled"] - 0.01
        target = "fedadam >= .78; the best within .01 of pooled"
        note += HEART_NOTE
        return rows, target, f"fedadam {ours['fedadam']:.4f}; {said}", met, note
    met = max(ours["scaffold"], ours["feddyn"]) > ours["fedavg"]
    above = f"scaffold {ours['scaffold']:.4f}, feddyn {ours['feddyn']:.4f}; {said}"
    return rows, "scaffold or feddyn above fedavg at equal rounds", above, met, note + tried


def _said(strategy: Any) -> str:
    shown = ("momentum", "mu", "alpha") if strategy.name in GRIDS_OF_OWN else ("serverRate",)
    return ", ".join(f"{k}={v:g}" for k, v in asdict(strategy).items() if k in shown)


def _rules(asked: argparse.Namespace) -> tuple[Any, ...]:
    seeds = range(asked.first_seed, asked.first_seed + asked.seeds)
    runs = [poisoned(asked.rounds or 15, seed) for seed in seeds]
    rows: list[dict[str, Any]] = [
        {
            "rule": line["rule"],
            **{a: round(float(np.mean([r[i][a] for r in runs])), 4) for a in ("none", *ATTACKS)},
        }
        for i, line in enumerate(runs[0])
    ]
    clean = rows[0]["none"]
    for row in rows:
        row["most lost"] = round(clean - min(row[a] for a in ATTACKS), 4)
    robust = [f"{r['rule']} {r['most lost']:.3f}" for r in rows[1:] if r["most lost"] <= 0.03]
    over = [f"{r['rule']} {r['most lost']:.3f}" for r in rows[1:] if r["most lost"] > 0.03]
    worst = min(rows[0][a] for a in ATTACKS)
    return (
        rows,
        "robust rules lose at most .03 of the mean's accuracy without poison",
        f"{', '.join(robust) or 'none'}; more than that: {', '.join(over) or 'none'}; the mean "
        f"falls from {clean:.4f} to {worst:.4f}",
        not over,
        f"Letter in ten equal silos, a linear model, {asked.rounds or 15} rounds of one epoch, "
        f"mean of seeds {seeds[0]} to {seeds[-1]}. Rates and rules' parameters were set once, for "
        "two liars, and not tuned. Label flip: labels in reversed order. Sign flip: the update "
        "times -5. Noise: 100 times the update's root mean square. Bulyan needs 4 f + 3 silos, so "
        "that ten silos allow for one liar only, and there are two.",
    )


PARTS: dict[str, Any] = {
    "heart": lambda asked: _strategies("heart", asked),
    "letter": lambda asked: _strategies("letter", asked),
    "mnist": lambda asked: _strategies("mnist", asked),
    "poisoned": _rules,
}


def _report(
    name: str, rows: list[dict[str, Any]], target: str, measured: str, met: bool, note: str
) -> None:
    claim = (__doc__ or "").split("\n\n")[1].replace("\n", " ")
    report(
        f"federated_strategies_{name}",
        claim,
        rows,
        target=target,
        measured=measured,
        met=met,
        note=note,
    )


ROUNDS = 30
TUNING_SEED = 100
HEART_NOTE = (
    "Rates were chosen on seeds 0 to 4, which are not in this table; on these, fedadam and fedyogi "
    "had .7846, feddyn .7805, scaffold .7756, fedavg .7691, pooled .7732. Means over a few seeds "
    "differ much, since the held-out rows are 246: fedadam has .7911 on the ten seeds 100 to 109, "
    ".8110 on 5 to 14."
)
Chosen = tuple[dict[str, Any], dict[str, tuple[Any, dict[str, Any]]]]


def _heart_settings(rounds: int) -> Chosen:
    settings = {"rounds": rounds, "local": {"steps": 10, "batch_size": 32, "rate": 0.1}}
    return settings, {
        "fedavg": (FedAvg(), {}),
        "fedavgm": (FedAvgM(), {}),
        "fedprox": (FedProx(mu=0.1), {}),
        "scaffold": (Scaffold(), {}),
        "fednova": (FedNova(), {}),
        "fedadam": (FedAdam(serverRate=0.03), {}),
        "fedyogi": (FedYogi(serverRate=0.03), {}),
        "fedadagrad": (FedAdagrad(serverRate=0.1), {}),
        "feddyn": (FedDyn(alpha=0.1), {}),
    }


# What is tried of each strategy on the tuning seed; the silos' rate is that best for fedavg.
RATES = (0.05, 0.1, 0.2)
GRIDS_OF_OWN = ("fedavgm", "fedprox", "feddyn")
GRIDS: dict[str, list[Any]] = {
    "fedavg": [FedAvg()],
    "fedavgm": [FedAvgM(momentum=m) for m in (0.5, 0.7, 0.9)],
    "fedprox": [FedProx(mu=m) for m in (0.01, 0.1)],
    "scaffold": [Scaffold()],
    "fednova": [FedNova()],
    "fedadam": [FedAdam(serverRate=r) for r in (0.01, 0.03, 0.1)],
    "fedyogi": [FedYogi(serverRate=r) for r in (0.01, 0.03, 0.1)],
    "feddyn": [FedDyn(alpha=a) for a in (0.01, 0.03, 0.1)],
}


def _tuned(name: str, rounds: int) -> tuple[Chosen, str]:
    """Return the settings that are best on the tuning seed, and how they were found."""
    silos, test, classes = _skewed(name, TUNING_SEED)

    def accuracy(strategy: Any, rate: float) -> float:
        local = LocalSettings(epochs=1, batch_size=32, rate=rate)
        settings = RoundSettings(rounds=rounds, local=local, evaluate_every=0, seed=TUNING_SEED)
        return trained(silos, test, _perceptron, strategy, settings, classes)[0]

    rate = max(RATES, key=lambda r: accuracy(FedAvg(), r))
    best = {
        n: (grid[0] if len(grid) == 1 else max(grid, key=lambda s: accuracy(s, rate)), {})
        for n, grid in GRIDS.items()
    }
    tried = (
        f"A layer of 64 units. Chosen on seed {TUNING_SEED} alone, which is not in the table: the "
        f"silos' rate of {', '.join(map(str, RATES))} by fedavg's accuracy, then, at that rate, "
        + "; ".join(
            f"{n} of {' / '.join(_said(s) for s in grid)}"
            for n, grid in GRIDS.items()
            if len(grid) > 1
        )
        + "."
    )
    local = {"epochs": 1, "batch_size": 32, "rate": rate}
    return ({"rounds": rounds, "local": local}, best), tried


def _perceptron(width: int, outputs: int) -> FlatModel:
    return Perceptron(width, outputs, (64,))


def _skewed(name: str, seed: int) -> tuple[Silos, Rows, int]:
    X, y = letter() if name == "letter" else mnist()
    return *skewed(X, y, seed), len(np.unique(y))


def _compared(
    name: str,
    seed: int,
    settings: dict[str, Any],
    strategies: dict[str, tuple[Any, dict[str, Any]]],
) -> dict[str, float]:
    if name == "heart":
        silos, test = heart(seed)
        return compared(silos, test, Linear, strategies, settings, 2, seed)
    silos, test, classes = _skewed(name, seed)
    return compared(silos, test, _perceptron, strategies, settings, classes, seed)


if __name__ == "__main__":
    main()
