"""Alters files of learners at random, loads them and asks what still loads.

Run by itself in a process of its own, since what it looks for is the end of a process:

    python tests/persistence/fuzz_learners.py SEED ROUNDS [KIND …]

It prints one line of JSON before each round, so that whoever started it knows which one ended it,
and one in the end: how many were refused, failed when asked, and answered.
"""

from __future__ import annotations

import io
import json
import random
import re
import resource
import sys
import time
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

ROWS = 160
NUMBERS = (
    -1,
    -2,
    0,
    1,
    2,
    3,
    5,
    7,
    8,
    31,
    255,
    256,
    10_000,
    2**31 - 1,
    2**31,
    2**40,
    2**62,
    -(2**31),
)
WORDS = ("null", "true", '"x"', '"brute"', '"precomputed"', "[]", "{}", "0.5", "1e308", "NaN", "-1")
ASKED = (
    "predict",
    "predict_proba",
    "decision_function",
    "score_samples",
    "transform",
    "apply",
    "decision_path",
    "kneighbors",
)


def kinds() -> dict[str, Callable[[], Any]]:
    """Return fitted learners of every kind whose compiled code follows indices, by name."""
    from sklearn import ensemble as e
    from sklearn import neighbors as n
    from sklearn import svm
    from sklearn.calibration import CalibratedClassifierCV
    from sklearn.cluster import BisectingKMeans, KMeans, MiniBatchKMeans
    from sklearn.impute import KNNImputer
    from sklearn.linear_model import LogisticRegression, SGDClassifier
    from sklearn.model_selection import GridSearchCV
    from sklearn.naive_bayes import CategoricalNB
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import KBinsDiscretizer, SplineTransformer, StandardScaler
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, ExtraTreeClassifier

    rng = np.random.default_rng(0)
    X = rng.normal(size=(ROWS, 5)).astype(np.float32)
    X[:, 4] = rng.integers(0, 6, ROWS)
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.8)
    S = sp.csr_matrix(np.where(X > 0.3, X, 0).astype(np.float64))

    def fitted(learner: Any, target: Any = y, rows: Any = X) -> Callable[[], Any]:
        return lambda: learner.fit(rows, target)

    tree = DecisionTreeClassifier(max_depth=4)
    small: dict[str, Any] = {"max_iter": 4, "min_samples_leaf": 5, "max_leaf_nodes": 8}
    hist = e.HistGradientBoostingClassifier(**small)
    return {
        "tree": fitted(tree),
        "tree of values": fitted(DecisionTreeRegressor(max_leaf_nodes=6), X[:, 1]),
        "tree of two": fitted(ExtraTreeClassifier(max_depth=3), np.stack([y, y > 0], 1)),
        "forest": fitted(e.RandomForestClassifier(3, max_depth=3)),
        "extra": fitted(e.ExtraTreesRegressor(3, max_depth=3), X[:, 1]),
        "boosting": fitted(e.GradientBoostingClassifier(n_estimators=3, max_depth=2)),
        "boosting of values": fitted(e.GradientBoostingRegressor(n_estimators=3), X[:, 1]),
        "histograms": fitted(hist),
        "categories": fitted(e.HistGradientBoostingClassifier(**small, categorical_features=[4])),
        "adaboost": fitted(e.AdaBoostClassifier(tree, n_estimators=3)),
        "isolation": fitted(e.IsolationForest(n_estimators=4, max_features=3)),
        "bagging": fitted(e.BaggingClassifier(tree, 3, max_features=3)),
        "voting": fitted(e.VotingClassifier([("a", tree), ("b", hist)])),
        "stacking": fitted(e.StackingClassifier([("a", tree)], LogisticRegression(), cv=2)),
        "kd tree": fitted(n.KNeighborsClassifier(3, algorithm="kd_tree", leaf_size=8)),
        "ball tree": fitted(n.KNeighborsRegressor(3, algorithm="ball_tree", p=3), X[:, 1]),
        "brute": fitted(n.KNeighborsClassifier(3, algorithm="brute")),
        "sparse neighbours": fitted(n.KNeighborsClassifier(3), y, S),
        "radius": fitted(
            n.RadiusNeighborsClassifier(9.0, outlier_label="most_frequent", algorithm="brute")
        ),
        "novelty": fitted(n.LocalOutlierFactor(novelty=True)),
        "density": fitted(n.KernelDensity(leaf_size=9)),
        "svc": fitted(svm.SVC(probability=False)),
        "sparse svc": fitted(svm.SVC(kernel="linear"), y, S),
        "svr": fitted(svm.NuSVR(), X[:, 1]),
        "one class": fitted(svm.OneClassSVM()),
        "linear svc": fitted(svm.LinearSVC()),
        "sgd": fitted(SGDClassifier()),
        "mlp": fitted(MLPClassifier((4,), max_iter=5)),
        "means": fitted(KMeans(3, n_init=1)),
        "small means": fitted(MiniBatchKMeans(3, n_init=1)),
        "bisections": fitted(BisectingKMeans(3)),
        "splines": fitted(make_pipeline(SplineTransformer(), LogisticRegression())),
        "imputer": fitted(KNNImputer()),
        "bayes": fitted(CategoricalNB(), y, np.abs(X).astype(int)),
        "pipeline": fitted(make_pipeline(StandardScaler(), KBinsDiscretizer(3), tree)),
        "calibrated": fitted(CalibratedClassifierCV(tree, cv=2)),
        "search": fitted(GridSearchCV(tree, {"max_depth": [1, 2]}, cv=2)),
        **boosters(fitted, X),
    }


def boosters(fitted: Callable[..., Callable[[], Any]], X: Any) -> dict[str, Callable[[], Any]]:
    """Return learners of XGBoost, LightGBM and CatBoost, where they are installed."""
    try:
        import catboost as c
        import lightgbm as g
        import xgboost as x
    except ImportError:
        return {}
    few: dict[str, Any] = {"n_estimators": 4, "n_jobs": 1}
    quiet: dict[str, Any] = {"verbose": -1, "min_child_samples": 5, "num_leaves": 6, **few}
    kinds: dict[str, Any] = {"enable_categorical": True, "feature_types": list("qqqqc")}
    still: dict[str, Any] = {"verbose": 0, "allow_writing_files": False, "thread_count": 1}
    still["iterations"] = 4
    import pandas as pd

    frame = pd.DataFrame({i: X[:, i] for i in range(4)} | {4: X[:, 4].astype(int)})
    return {
        "xgboost": fitted(x.XGBClassifier(max_depth=3, **few)),
        "xgboost with categories": fitted(x.XGBClassifier(max_cat_to_onehot=1, **kinds, **few)),
        "xgboost dart": fitted(x.XGBRegressor(booster="dart", max_depth=2, **few), X[:, 1]),
        "xgboost linear": fitted(x.XGBRegressor(booster="gblinear", **few), X[:, 1]),
        "lightgbm": fitted(g.LGBMClassifier(**quiet)),
        "lightgbm with categories": fitted(
            g.LGBMRegressor(
                categorical_feature=[4], max_cat_to_onehot=1, min_data_per_group=2, **quiet
            ),
            X[:, 4] % 3,
        ),
        "catboost": fitted(c.CatBoostClassifier(depth=3, **still)),
        "catboost leafwise": fitted(
            c.CatBoostRegressor(grow_policy="Lossguide", max_leaves=6, **still), X[:, 1]
        ),
        "catboost with categories": fitted(
            c.CatBoostClassifier(depth=3, cat_features=[4], **still), rows=frame
        ),
    }


def altered(content: bytes, rng: random.Random) -> bytes:
    """Return a learner's file with one to three things changed in it."""
    with zipfile.ZipFile(io.BytesIO(content)) as source:
        files = {name: source.read(name) for name in source.namelist()}
    own = [_model] * len(_WAYS) if any(name.endswith(".bin") for name in files) else []
    for _ in range(rng.choice((1, 1, 2, 3))):
        rng.choice((*own, *_WAYS))(files, rng)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        for name, data in files.items():
            target.writestr(name, data)
    return out.getvalue()


def _arrays(files: dict[str, bytes]) -> list[str]:
    return sorted(name for name in files if name.endswith((".npy", ".npz")))


def _edit(files: dict[str, bytes], rng: random.Random, change: Callable[[Any], Any]) -> None:
    """Put another array in the place of one, its header as it belongs."""
    if not (names := _arrays(files)):
        return
    name = rng.choice(names)
    out = io.BytesIO()
    try:
        found = np.load(io.BytesIO(files[name]))
        if name.endswith(".npy"):
            np.save(out, change(found), allow_pickle=False)
        else:
            parts = dict(found)
            one = rng.choice(sorted(parts))
            np.savez(out, **{**parts, one: change(parts[one])})
    except Exception:  # noqa: BLE001 - what this array cannot be, another one may
        return
    files[name] = out.getvalue()


def _values(files: dict[str, bytes], rng: random.Random) -> None:
    """Change some values of an array."""

    def change(array: Any) -> Any:
        array = np.array(array)
        flat = array.reshape(-1)
        if not len(flat):
            return array
        if array.dtype.names:
            flat = flat[rng.choice(array.dtype.names)]
        for _ in range(rng.choice((1, 1, 3, len(flat)))):
            with np.errstate(all="ignore"):
                flat[rng.randrange(len(flat))] = np.array(
                    rng.choice((*NUMBERS, len(flat), len(flat) - 1, rng.randrange(len(flat))))
                ).astype(flat.dtype)
        return array

    _edit(files, rng, change)


def _form(files: dict[str, bytes], rng: random.Random) -> None:
    """Change an array's shape or type."""
    forms: tuple[Callable[[Any], Any], ...] = (
        lambda a: a[: len(a) // 2],
        lambda a: a[:0],
        lambda a: np.concatenate([a, a]),
        np.asfortranarray,
        lambda a: a.T,
        lambda a: a.reshape(-1),
        lambda a: a[None],
        lambda a: a[..., :1],
        lambda a: a.astype(np.float32),
        lambda a: a.astype(np.int64),
        lambda a: a.astype(a.dtype.newbyteorder()),
        lambda a: np.zeros(rng.choice((0, 1, 3)), a.dtype),
    )
    _edit(files, rng, rng.choice(forms))


def _nodes(value: Any) -> list[dict[str, Any]]:
    if isinstance(value, dict):
        own = [value] if "__loader__" in value else []
        return own + [n for v in value.values() for n in _nodes(v)]
    return [n for v in value for n in _nodes(v)] if isinstance(value, list) else []


def _json(files: dict[str, bytes], rng: random.Random) -> None:
    """Change a plain value, the kind of a node, or what it is made of."""
    try:
        schema = json.loads(files["schema.json"])
    except ValueError:  # altered already
        return
    nodes = _nodes(schema)
    node, other = rng.choice(nodes), rng.choice(nodes)
    plain = [n for n in nodes if n["__loader__"] == "JsonNode"]
    what = rng.random()
    if what < 0.5 and plain:
        rng.choice(plain)["content"] = rng.choice((*map(str, NUMBERS), *WORDS))
    elif what < 0.65:
        node.update({k: v for k, v in other.items() if k.startswith("__") and k != "__id__"})
    elif what < 0.75:
        node["__id__"] = other.get("__id__")
    elif isinstance(node.get("content"), dict | list) and node["content"]:
        content = node["content"]
        place = rng.choice(list(content)) if isinstance(content, dict) else -1
        if rng.random() < 0.5:
            del content[place]
        else:
            content[place] = {
                "__class__": "str",
                "__module__": "builtins",
                "__loader__": "JsonNode",
                "content": rng.choice(WORDS),
            }
    files["schema.json"] = json.dumps(schema).encode()


def _swap(files: dict[str, bytes], rng: random.Random) -> None:
    """Let an array stand in another's place."""
    if len(names := _arrays(files)) > 1:
        files[rng.choice(names)] = files[rng.choice(names)]


def _bytes(files: dict[str, bytes], rng: random.Random) -> None:
    """Change some bytes of a part."""
    name = rng.choice(sorted(files))
    data = bytearray(files[name])
    for _ in range(rng.choice((1, 4))):
        if data:
            data[rng.randrange(len(data))] = rng.randrange(256)
    files[name] = bytes(data)


def _model(files: dict[str, bytes], rng: random.Random) -> None:
    """Change numbers of a booster's model: in its text, or among its bytes."""
    name = rng.choice([n for n in sorted(files) if n.endswith(".bin")])
    data = bytearray(files[name])
    if data.startswith(b"tree\n"):
        if b"end of trees" in data and rng.random() < 0.8:
            found = [m for m in re.finditer(rb"-?\d+", data) if m.start() < data.find(b"end of")]
        else:
            found = list(re.finditer(rb"-?\d+", data))
        for one in sorted(rng.sample(found, min(len(found), rng.choice((1, 1, 2)))), key=_later):
            new = str(rng.choice((*NUMBERS, rng.randrange(12), -rng.randrange(12)))).encode()
            if rng.random() < 0.7:  # of the same length, so that the sizes of the trees stay right
                new = new[: len(one.group())].ljust(len(one.group()), b"0")
            data[one.start() : one.end()] = new
    else:
        for _ in range(rng.choice((1, 1, 2, 4))):
            width, order = rng.choice((1, 2, 4, 4, 4, 8)), rng.choice(("little", "big"))
            value = rng.choice((*NUMBERS, rng.randrange(12))) % (1 << 8 * width)
            at = rng.randrange(max(1, len(data) - width))
            if rng.random() < 0.5:
                at -= at % 4
            data[at : at + width] = value.to_bytes(width, order)
    if rng.random() < 0.05:
        del data[rng.randrange(len(data)) :]
    files[name] = bytes(data)


def _later(one: re.Match[bytes]) -> int:
    return -one.start()


_WAYS = (_values, _values, _values, _values, _form, _json, _json, _swap, _bytes)


def ask(learner: Any, rows: Any) -> None:
    """Ask a learner whatever it answers."""
    from sparkml_dist.learners.direct import direct

    linear = getattr(learner, "booster", None) == "gblinear"
    for method in ASKED:
        if hasattr(learner, method) and not (linear and method == "apply"):
            getattr(learner, method)(rows)
        if method in ("predict", "predict_proba") and rows.shape[1] == getattr(
            learner, "n_features_in_", None
        ):
            outputs = direct(learner, method, rows.shape[1])
            if outputs is not None:
                outputs(np.ascontiguousarray(rows, np.float32))


def main(seed: int, rounds: int, names: list[str]) -> None:
    """Alter, load and ask; see the head of this file."""
    warnings.simplefilter("ignore")
    import skops.io

    from sparkml_dist.errors import ResourceError, StorageError
    from sparkml_dist.persistence.learners import dump_learner, load_learner

    np.random.seed(0)  # noqa: NPY002 - what scikit-learn draws from
    made = kinds()
    files: dict[str, tuple[bytes, list[str], Any]] = {}
    rows = np.random.default_rng(1).normal(size=(40, 5)).astype(np.float32)
    for name in names or list(made):
        learner = made[name]()
        trusted = skops.io.get_untrusted_types(data=skops.io.dumps(learner))
        content = dump_learner(learner, trusted=trusted)
        files[name] = content, trusted, np.abs(rows).astype(int) if name == "bayes" else rows
        if name == "catboost with categories":
            import pandas as pd

            own = {i: rows[:, i] for i in range(4)} | {4: np.abs(rows[:, 4] * 4).astype(int)}
            files[name] = content, trusted, pd.DataFrame(own)
        ask(load_learner(content, name, trusted=trusted), files[name][2])
    # What a file declares must not become memory.
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (2 << 30), -1))
    counts = {"refused": 0, "failed": 0, "answered": 0, "out of memory": 0, "slow": 0}
    for number in range(rounds):
        rng = random.Random(f"{seed}/{number}")
        name = rng.choice(sorted(files))
        print(json.dumps({"seed": seed, "round": number, "kind": name}), flush=True)
        content, trusted, own = files[name]
        begun = time.perf_counter()
        try:
            learner = load_learner(altered(content, rng), name, trusted=trusted)
        except StorageError:
            counts["refused"] += 1
            continue
        except ResourceError:
            print(json.dumps({"memory": number}), flush=True)
            counts["out of memory"] += 1
            continue
        if time.perf_counter() - begun > 5:
            counts["slow"] += 1
        try:
            ask(learner, own)
        except Exception:  # noqa: BLE001 - an error is what a file without sense should end in
            counts["failed"] += 1
        else:
            counts["answered"] += 1
    print(json.dumps({"counts": counts}), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
