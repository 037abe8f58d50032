"""Learners whose indices lead out of their arrays: refused at load, wherever they are."""

from __future__ import annotations

import inspect
import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import skops.io
from sklearn import ensemble, neighbors, svm
from sklearn.calibration import CalibratedClassifierCV
from sklearn.cluster import BisectingKMeans, KMeans
from sklearn.impute import KNNImputer
from sklearn.metrics.pairwise import linear_kernel
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.persistence.soundness import check_learner
from tests.conftest import ROOT
from tests.persistence.learner_files import joined, parts, stored

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype(np.float32)
X[:, 3] = rng.integers(0, 5, 200)
y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.7)
S = sp.csr_matrix(np.where(X > 0.3, X, 0.0))
HIST = {"max_iter": 3, "min_samples_leaf": 5, "categorical_features": [3]}


def alter(content, pick, change):
    """Change the arrays that `pick` takes, in place."""
    files, found = parts(content), 0
    for name, data in files.items():
        if not name.endswith(".npy"):
            continue
        array = np.load(io.BytesIO(data))
        if pick(array):
            change(array)
            found += 1
            out = io.BytesIO()
            np.save(out, array)
            files[name] = out.getvalue()
    assert found
    return joined(files)


def nodes_of_trees(array):
    return array.dtype.names is not None and "left_child" in array.dtype.names


def nodes_of_histograms(array):
    return array.dtype.names is not None and "bitset_idx" in array.dtype.names


def at(field, value, node=0):
    """Return a change of one field of the first, or another, node."""

    def change(array):
        array[field][node] = value

    return change


TREES = {
    "tree": DecisionTreeClassifier(max_depth=3),
    "forest": ensemble.RandomForestClassifier(3, max_depth=3),
    "boosting": ensemble.GradientBoostingClassifier(n_estimators=2),
    "isolation": ensemble.IsolationForest(n_estimators=3),
    "bagging": ensemble.BaggingClassifier(DecisionTreeClassifier(max_depth=2), 2),
    "pipeline": make_pipeline(StandardScaler(), DecisionTreeClassifier(max_depth=2)),
    "stacking": ensemble.StackingClassifier([("t", DecisionTreeClassifier(max_depth=2))], cv=2),
    "calibrated": CalibratedClassifierCV(DecisionTreeClassifier(max_depth=2), cv=2),
    "search": GridSearchCV(DecisionTreeClassifier(), {"max_depth": [1, 2]}, cv=2),
}
CRAFTED = {
    "child beyond": at("left_child", 10**6),
    "other child beyond": at("right_child", 2**40),
    "cycle": at("left_child", 0),
    "child below": at("right_child", -7),
    "no parent": at("left_child", 2),
    "feature beyond": at("feature", 10**6),
    "feature below": at("feature", -2),
}


@pytest.mark.parametrize("learner", TREES.values(), ids=TREES.keys())
def test_trees_that_lead_nowhere_are_refused_wherever_they_are(learner):
    content, trusted = stored(learner.fit(X, y))
    load_learner(content, "m", trusted=trusted).predict(X)
    for what, change in CRAFTED.items():
        with pytest.raises(StorageError, match=r"damaged_member.*\bm\b") as refusal:
            load_learner(alter(content, nodes_of_trees, change), "m", trusted=trusted)
        assert "a node of a tree" in str(refusal.value), what


HISTOGRAMS = {
    "child beyond": at("left", 2**31),
    "cycle": at("right", 0),
    "feature beyond": at("feature_idx", 10**9),
    "feature below": at("feature_idx", -1),
    "set beyond": lambda nodes: nodes.__setitem__(
        slice(None), _with(nodes, is_categorical=1, bitset_idx=10**6)
    ),
    "numbers as categories": lambda nodes: nodes.__setitem__(
        slice(None), _with(nodes, is_categorical=1, bitset_idx=0, feature_idx=0)
    ),
}


def _with(nodes, **fields):
    changed = nodes.copy()
    for name, value in fields.items():
        changed[name] = value
    return changed


@pytest.mark.parametrize("packs", [True, False])
@pytest.mark.parametrize("change", HISTOGRAMS.values(), ids=HISTOGRAMS.keys())
def test_histogram_trees_that_lead_nowhere_are_refused(change, packs):
    learner = ensemble.HistGradientBoostingClassifier(**HIST).fit(X, y)
    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(learner))
    content = dump_learner(learner) if packs else skops.io.dumps(learner)
    load_learner(content, "m", trusted=trusted).predict(X)
    with pytest.raises(StorageError, match="damaged_member"):
        load_learner(alter(content, nodes_of_histograms, change), "m", trusted=trusted)


def test_packed_trees_that_count_others_are_refused():
    content = dump_learner(ensemble.HistGradientBoostingClassifier(**HIST).fit(X, y))
    for value in (-1, 0, 10**12, 2):
        crafted = alter(
            content,
            lambda a: a.dtype == np.int64 and a.shape == (9,),
            lambda a, value=value: a.__setitem__(0, value),
        )
        with pytest.raises(StorageError, match="damaged_member"):
            load_learner(crafted, "m")


def broken(learner, **attributes):
    vars(learner).update(attributes)
    return learner


def kd_tree(kind=neighbors.KDTree, **at_place):
    tree = kind(X.astype(float), leaf_size=20)
    names = ("data", "order", "nodes", "bounds", "leaf_size", "levels", "n_nodes")
    state = [np.array(s) if i < 4 else s for i, s in enumerate(tree.__getstate__())]
    for name, change in at_place.items():
        place = names.index(name)
        state[place] = change(state[place])
    tree.__setstate__(tuple(state))
    return tree


def set_at(index, value, field=None):
    def change(array):
        (array if field is None else array[field])[index] = value
        return array

    return change


def fitted(learner, rows=X):
    return learner.fit(rows, y)


def _csr(indptr=None, indices=None):
    matrix = S.copy()
    if indptr is not None:
        matrix.indptr[1:3] = indptr
    if indices is not None:
        matrix.indices[0] = indices
    return matrix


def _bisected(center):
    clusters = BisectingKMeans(3).fit(X)
    clusters._bisecting_tree.left.center = center
    return clusters


def spline():
    return SplineTransformer().fit(X[:, :1]).bsplines_[0]


UNSOUND = {
    "order of points": lambda: kd_tree(order=set_at(0, 10**6)),
    "order of points twice": lambda: kd_tree(neighbors.BallTree, order=set_at(0, 1)),
    "points of a node": lambda: kd_tree(nodes=set_at(1, 10**6, "idx_end")),
    "node without children": lambda: kd_tree(nodes=set_at(-1, 0, "is_leaf")),
    "fewer nodes": lambda: kd_tree(nodes=lambda a: a[:-1]),
    "fewer bounds": lambda: kd_tree(bounds=lambda a: np.ascontiguousarray(a[:, :1])),
    "more nodes": lambda: kd_tree(n_nodes=lambda n: 2 * n + 1, levels=lambda n: n + 1),
    "rows of a matrix": lambda: _csr(indptr=[2**31 - 1, -5]),
    "columns of a matrix": lambda: _csr(indices=10**6),
    "column below": lambda: _csr(indices=-1),
    "class of a neighbour": lambda: broken(
        fitted(neighbors.KNeighborsClassifier(algorithm="brute")), _y=np.full(200, 10**6)
    ),
    "fewer neighbours": lambda: broken(
        fitted(neighbors.KNeighborsClassifier(algorithm="brute")), n_samples_fit_=10**6
    ),
    "narrow neighbours": lambda: broken(
        fitted(neighbors.KNeighborsClassifier(algorithm="brute")), _fit_X=X[:, :2]
    ),
    "support beyond": lambda: broken(fitted(svm.SVC()), _n_support=np.array([9999, 1, 1], "i4")),
    "fewer supports": lambda: broken(fitted(svm.SVC()), support_=np.arange(3, dtype="i4")),
    "fewer weights": lambda: broken(fitted(svm.SVC()), _dual_coef_=np.zeros((1, 1))),
    "fewer intercepts": lambda: broken(fitted(svm.SVC()), _intercept_=np.zeros(1)),
    "narrow supports": lambda: broken(fitted(svm.SVC()), shape_fit_=(200, 9)),
    "other probabilities": lambda: broken(fitted(svm.SVC()), _probA=np.zeros(1)),
    "narrow centres": lambda: broken(fitted(KMeans(3)), cluster_centers_=np.zeros((3, 1))),
    "stages": lambda: broken(
        fitted(ensemble.GradientBoostingClassifier(n_estimators=2)),
        estimators_=fitted(ensemble.GradientBoostingClassifier(n_estimators=2)).estimators_[:, :2],
    ),
    "wide forest": lambda: broken(fitted(ensemble.RandomForestClassifier(2)), n_features_in_=3),
    "narrow bisections": lambda: _bisected(np.zeros(1)),
    "knots": lambda: broken(spline(), _t=np.zeros(3)),
    "knots in disorder": lambda: broken(spline(), _t=spline().t[::-1].copy()),
    "weights": lambda: broken(spline(), _c=np.zeros(2)),
    "degree": lambda: broken(spline(), k=10**6),
    "generator": lambda: np.random.RandomState(0),
}


@pytest.mark.parametrize("make", UNSOUND.values(), ids=UNSOUND.keys())
def test_what_compiled_code_would_follow_out_of_its_arrays_is_refused(make):
    learner = make()
    if isinstance(learner, np.random.RandomState):
        state = learner.get_state(legacy=False)
        state["state"]["pos"] = 10**6
        learner.set_state(state)
    held = np.empty(1, object)  # as arrays of estimators are
    held[0] = learner
    for whole in (learner, {"deep": [(make_pipeline("passthrough"), held)]}):
        with pytest.raises(ValueError):
            check_learner(whole)


def _plain(kind):
    return all(
        p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        for p in inspect.signature(kind).parameters.values()
    )


def test_sound_learners_pass():
    learners = [
        *(fitted(k) for k in TREES.values()),
        fitted(DecisionTreeClassifier(max_leaf_nodes=9, ccp_alpha=0.01)),
        fitted(ensemble.HistGradientBoostingClassifier(**HIST, max_leaf_nodes=5)),
        fitted(neighbors.KNeighborsClassifier(), S),
        *(fitted(neighbors.KNeighborsClassifier(algorithm=a)) for a in ("kd_tree", "ball_tree")),
        *(fitted(s) for s in (svm.SVC(), svm.NuSVC(nu=0.1), svm.SVR(), svm.OneClassSVM())),
        fitted(svm.SVC(), S),
        svm.SVC(kernel="precomputed").fit(X @ X.T, y),
        fitted(KMeans(3)),
        fitted(BisectingKMeans(3)),
        fitted(SplineTransformer()),
        fitted(SplineTransformer(extrapolation="periodic")),
        svm.SVC(kernel=linear_kernel).fit(X, y),
        fitted(svm.SVR(), S),
        neighbors.KNeighborsClassifier(metric="precomputed").fit(np.abs(X @ X.T), y),
        neighbors.KNeighborsClassifier(metric=np.dot).fit(X, y),
        neighbors.KNeighborsClassifier().fit(X, np.stack([y, y > 0], 1)),
        neighbors.KNeighborsRegressor().fit(X, np.stack([y, y > 0], 1)),
        neighbors.RadiusNeighborsClassifier().fit(X, np.array(["a", "b", "c"])[y]),
        neighbors.NearestNeighbors(metric="cosine").fit(X),
        neighbors.LocalOutlierFactor(novelty=True).fit(X),
        neighbors.KernelDensity(metric="haversine").fit(X[:, :2]),
        KNNImputer().fit(X),
        ensemble.RandomForestClassifier(2).fit(X, np.stack([y, y > 0], 1)),
        ensemble.RandomTreesEmbedding(2).fit(X),
        ensemble.IsolationForest(n_estimators=2, max_features=2).fit(X),
        ensemble.AdaBoostRegressor(n_estimators=2).fit(X, y),
        ensemble.GradientBoostingRegressor(n_estimators=2, loss="quantile").fit(X, y),
        ensemble.GradientBoostingClassifier(n_estimators=2).fit(S, y > 0),
        *(k() for _, k in all_estimators() if _plain(k)),
        DecisionTreeClassifier(),
        svm.SVC(),
        ensemble.HistGradientBoostingClassifier(),
    ]
    check_learner(learners)


def frame(numbers=False):
    """Return rows of which one column holds words, or numbers from 3 on."""
    kinds = (
        rng.integers(3, 9, 200) if numbers else np.array(["red", "green"])[X[:, 3].astype(int) % 2]
    )
    return pd.DataFrame({"x": X[:, 0], "kind": kinds, "z": X[:, 1]})


@pytest.mark.parametrize("numbers", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_histogram_boosting_of_words_passes(numbers, named):
    rows, few = frame(numbers), {"max_iter": 2, "min_samples_leaf": 5}
    if named:
        learner = ensemble.HistGradientBoostingClassifier(**few, categorical_features=["kind"])
    else:
        rows = rows.astype({"kind": "category"})
        learner = ensemble.HistGradientBoostingRegressor(**few)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_learner(learner.fit(rows, y))
    narrow = learner._preprocessor.named_transformers_["encoder"]
    narrow.categories_ = narrow.categories_ * 2
    with pytest.raises(ValueError):
        check_learner(learner)


def test_where_results_were_cached_is_forgotten():
    content, trusted = stored(make_pipeline(StandardScaler(), memory="/tmp/cache").fit(X))
    assert load_learner(content, "m", trusted=trusted).memory is None


def test_files_that_were_altered_at_random_end_no_process():
    fuzzer = Path(__file__).with_name("fuzz_learners.py")
    rounds = os.environ.get("SPARKML_DIST_FUZZ_ROUNDS", "400")
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", str(fuzzer), "0", rounds],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    last = done.stdout.splitlines()[-1]
    assert done.returncode == 0, f"{last}\n{done.stderr[-3000:]}"
    counts = json.loads(last)["counts"]
    assert counts["out of memory"] == counts["slow"] == 0
    assert counts["refused"] > 100
    assert counts["answered"] > 50
