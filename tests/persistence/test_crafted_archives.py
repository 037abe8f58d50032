"""Learners' files that were made to call what they name, or to grow: refused before they do."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp
from sklearn import neighbors
from sklearn.preprocessing import FunctionTransformer
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.learners import dump_learner, load_learner
from tests.persistence.learner_files import joined, parts, schema_of, stored

rng = np.random.default_rng(0)
X = rng.normal(size=(200, 4)).astype(np.float32)
y = (X[:, 0] > 0).astype(int)


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
