"""Learners whose files were made to crash, to call or to grow: refused at load."""

from __future__ import annotations

import inspect
import io
import json
import os
import subprocess
import sys
import tracemalloc
import warnings
import zipfile
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
from sklearn.preprocessing import FunctionTransformer, SplineTransformer, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.learners import dump_learner, load_learner
from sparkml_dist.persistence.soundness import check_learner
from tests.conftest import ROOT

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype(np.float32)
X[:, 3] = rng.integers(0, 5, 200)
y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 0.7)
S = sp.csr_matrix(np.where(X > 0.3, X, 0.0))
HIST = {"max_iter": 3, "min_samples_leaf": 5, "categorical_features": [3]}


def stored(learner):
    """Return a learner's file, with what it needs to be trusted."""
    trusted = skops.io.get_untrusted_types(data=skops.io.dumps(learner))
    return dump_learner(learner, trusted=trusted), trusted


def parts(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def joined(files, compression=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return out.getvalue()


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


def schema_of(content, change):
    files = parts(content)
    schema = json.loads(files["schema.json"])
    change(schema)
    files["schema.json"] = json.dumps(schema).encode()
    return joined(files)


def attribute(name, **node):
    """Return a change that puts a node in the place of an attribute of a learner."""

    def change(schema):
        state = schema["content"]
        state["content"][name] = {"__id__": 10**6, **node}

    return change


NAMED = "sklearn.utils.validation", "check_array"
LIST = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": []}
TYPE = {"__class__": "str", "__module__": "builtins", "__loader__": "TypeNode"}


def named(loader, module, name, **more):
    return {"__class__": name, "__module__": module, "__loader__": loader, **more}


JSON = named("JsonNode", "builtins", "str", content='"x"', is_json=True)
CALLS = {
    "list": named("ListNode", *NAMED, content=[]),
    "tuple": named("TupleNode", "functools", "partial", content=[]),
    "set": named("SetNode", *NAMED, content=[]),
    "mapping": named("DictNode", *NAMED, content={}, key_types=LIST),
    "constructor": named("ConstructorFromReduceNode", *NAMED, content=LIST),
    "constructor of a partial": named(
        "ConstructorFromReduceNode", "functools", "partial", content=LIST
    ),
    "constructor of a matrix": named(
        "ConstructorFromReduceNode", "scipy.sparse._csr", "csr_matrix", content=LIST
    ),
    "constructor of a tree": named(
        "ConstructorFromReduceNode", "sklearn.tree._tree", "Tree", content=LIST
    ),
    "number": named("NdArrayNode", *NAMED, type="json", content=[], shape=LIST),
    "bytes of a number": named("NdArrayNode", "numpy", "void", type="json", content=[], shape=LIST),
    "keys": named(
        "DictNode",
        "builtins",
        "dict",
        content={"a": JSON},
        key_types={**LIST, "content": [named("FunctionNode", *NAMED)]},
    ),
    "missing keys": named(
        "DefaultDictNode",
        "collections",
        "defaultdict",
        content={
            "main": named("DictNode", "builtins", "dict", content={}, key_types=LIST),
            "default_factory": named("FunctionNode", *NAMED),
        },
    ),
    "state of a type": named("ObjectNode", "numpy", "dtype", content=LIST),
    "state of a partial": named("ObjectNode", "functools", "partial", content=LIST),
    "loss": named(
        "LossNode", "sklearn.neighbors._kd_tree", "KDTree", content=LIST, __reduce__={"args": LIST}
    ),
    "mention": named("CachedNode", "builtins", "list"),
    "state of a generator": named("RandomStateNode", *NAMED, content=LIST),
}


@pytest.mark.parametrize("node", CALLS.values(), ids=CALLS.keys())
def test_nothing_is_called_while_a_file_is_loaded(node):
    content = dump_learner(DecisionTreeClassifier(max_depth=2).fit(X, y))
    with pytest.raises(StorageError, match=r"damaged_member|untrusted_type"):
        load_learner(schema_of(content, attribute("extra_", **node)), "m")


def test_operators_and_methods_are_not_trusted():
    content = dump_learner(DecisionTreeClassifier(max_depth=2).fit(X, y))
    for node in (
        named("OperatorFuncNode", "operator", "methodcaller", attrs=LIST),
        named("FunctionNode", "os", "system"),
        named("TypeNode", "subprocess", "Popen"),
        named(
            "PartialNode",
            "functools",
            "partial",
            content=dict.fromkeys(
                ("func", "args", "kwds", "namespace"), named("FunctionNode", "os", "system")
            ),
        ),
    ):
        with pytest.raises(StorageError, match="untrusted_type"):
            load_learner(schema_of(content, attribute("extra_", **node)), "m")


def test_a_space_tree_is_filled_from_all_that_it_takes():
    learner = neighbors.KNeighborsClassifier(algorithm="kd_tree").fit(X, y)
    content, trusted = stored(learner)
    null = {**JSON, "content": "null"}
    changes = [lambda items, i=i: items.__setitem__(i, null) for i in (0, 1, 2, 3, 11)]
    changes += [lambda items: items.pop(), lambda items: items.append(null)]
    changes += [lambda items: items[11]["content"]["content"].pop()]
    changes += [lambda items: items[11]["content"]["content"].__setitem__(1, null)]
    changes += [lambda items: items[11].__setitem__("content", null)]
    for change in changes:
        crafted = schema_of(
            content,
            lambda s, change=change: change(s["content"]["content"]["_tree"]["content"]["content"]),
        )
        with pytest.raises(StorageError, match="damaged_member"):
            load_learner(crafted, "m", trusted=trusted)


def growing(levels):
    """Return lists in lists, each mentioned ten times by its number."""
    node = JSON
    for level in range(levels):
        inner = {**node, "__id__": 2 * 10**6 + level}
        short = {k: v for k, v in inner.items() if k != "content"} | {"content": []}
        node = named("ListNode", "builtins", "list", content=[inner, *[short] * 9])
    return node


def test_what_is_mentioned_does_not_unfold():
    content = dump_learner(DecisionTreeClassifier(max_depth=2).fit(X, y))
    array = named(
        "NdArrayNode",
        "numpy",
        "ndarray",
        type="json",
        content=growing(9)["content"],
        shape={**LIST, "content": [{**JSON, "content": "10"}, {**JSON, "content": "10"}]},
    )
    for node in (growing(40), array):
        with pytest.raises(StorageError, match="damaged_member"):
            load_learner(schema_of(content, attribute("extra_", **node)), "m")


def npy(shape, dtype="<f8", payload=b""):
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": dtype, "fortran_order": False, "shape": shape}
    )
    return out.getvalue() + payload


def bombs():
    """Yield files of less than a megabyte that ask for gigabytes."""
    honest = parts(dump_learner(DecisionTreeClassifier(max_depth=2).fit(X, y)))
    array = next(n for n in honest if n.endswith(".npy"))
    yield "deflated", joined({**honest, "z.bin": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    for name, content in {
        "long": npy((10**12,)),
        "wide": npy((10**6, 10**6), payload=b"x" * 100),
        "nothing": npy((2**62,), "|V0"),
        "text": npy((1,), "<U1000000000"),
        "objects": npy((1,), "|O", b"\x80\x04K\x01."),
        "beside": npy((2,), payload=b"x" * 100),
        "header": b"\x93NUMPY\x02\x00\xff\xff\xff\x7f{",
    }.items():
        yield name, joined({**honest, array: content})
    yield "deep", joined({**honest, "schema.json": b'{"content":' * 90_000 + b"1" + b"}" * 90_000})
    yield "cut", joined(honest)[:-40]
    yield "empty", b""
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        archive.writestr("schema.json", honest["schema.json"])
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("schema.json", honest["schema.json"])
    yield "twice", twice.getvalue()
    matrix = io.BytesIO()
    with zipfile.ZipFile(matrix, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data.npy", npy((2 * 10**7,), payload=bytes(16 * 10**7)))
    yield "matrix", joined({**honest, "z.npz": matrix.getvalue()})


def test_a_small_file_does_not_become_gigabytes():
    for name, content in bombs():
        assert len(content) < 2_000_000
        tracemalloc.start()
        with pytest.raises(StorageError, match="damaged_member"):
            load_learner(content, name)
        assert tracemalloc.get_traced_memory()[1] < 100e6, name
        tracemalloc.stop()


def test_a_sparse_matrix_of_much_the_same_is_no_bomb():
    same = sp.csr_matrix(np.ones((3000, 300)))
    learner = neighbors.KNeighborsClassifier().fit(same, np.arange(3000) % 2)
    content, trusted = stored(learner)
    assert len(content) < 9_000_000
    assert load_learner(content, "m", trusted=trusted)._fit_X.nnz == 900_000


def test_a_function_that_is_trusted_is_only_mentioned():
    content, trusted = stored(FunctionTransformer(np.log1p).fit(X))
    assert load_learner(content, "m", trusted=trusted).func is np.log1p


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
