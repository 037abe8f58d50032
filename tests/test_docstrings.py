"""The examples in docstrings give what they say.

They may use the public names, those of their own module, numpy as ``np`` and, where there is a
session, ``spark``, ``iris`` (four measures and the ``species`` of 150 flowers), ``data`` (these in
two shards) and ``model`` (a classifier that was fitted on them).
"""

from __future__ import annotations

import ast
import doctest
import importlib
import re

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.tree import DecisionTreeClassifier

import sparkml_dist as sd
from tests.examples import ROOT

LIBRARY = ROOT / "sparkml_dist"
#: They need a network in the process, or what only a rank has.
SKIPPED = {"as_tf_dataset", "EpochStreams"}
#: Of estimators that need a session `make test` runs the examples of one in each room: the README
#: and the contract test fit the others, and the long run has all.
ROOMS = (
    *("BaggingClassifier", "KMedoids", "AssociationRules", "KernelClassifier"),
    *("BayesianNetwork", "LinearRegression", "TableFeatures", "BatchQLearning"),
    *("VotingClassifier", "FederatedNaiveBayes"),
)
ON_TENSORFLOW = ("deep/backend", "deep/embedding", "deep/train", "reinforcement/networks")
OF_A_SESSION = re.compile(r"\b(?:spark|iris|data|model)\b")


def examples():
    """Yield every docstring that has examples, by the file and the name of what it describes."""
    for path in sorted(LIBRARY.rglob("*.py")):
        text = path.read_text()
        if ">>>" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                continue
            docstring = ast.get_docstring(node)
            if docstring and ">>>" in docstring:
                yield path.relative_to(LIBRARY), getattr(node, "name", ""), docstring


def source(docstring):
    """Return the code of a docstring's examples."""
    return "".join(example.source for example in doctest.DocTestParser().get_examples(docstring))


ALL = list(examples())
RUN = [case for case in ALL if case[1] not in SKIPPED]
WITHOUT = [case for case in RUN if not OF_A_SESSION.search(source(case[2]))]
WITH = [case for case in RUN if case not in WITHOUT]


def run(case, **given):
    path, name, docstring = case
    names = {public: getattr(sd, public) for public in sd.__all__}
    if not str(path).startswith(ON_TENSORFLOW):
        module = ".".join(("sparkml_dist", *path.with_suffix("").parts))
        names |= vars(importlib.import_module(module))
    test = doctest.DocTestParser().get_doctest(
        docstring, {**names, "np": np, **given}, name, str(path), 0
    )
    said = []
    flags = doctest.NORMALIZE_WHITESPACE
    result = doctest.DocTestRunner(verbose=False, optionflags=flags).run(test, out=said.append)
    assert result.attempted > 0
    assert result.failed == 0, "".join(said)


def name_of(case):
    return case[1]


def is_long(name):
    """Return whether `make test` leaves the example of an estimator to the long run."""
    from pyspark.ml.base import Estimator

    kind = getattr(sd, name, None)
    return isinstance(kind, type) and issubclass(kind, Estimator) and name not in ROOMS


@pytest.fixture(scope="module")
def given(spark, tmp_path_factory):
    """What examples may use beside public names, where there is a session."""
    flowers = load_iris(as_frame=True)
    measures = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
    frame = flowers.data.set_axis(measures, axis=1)
    frame["species"] = flowers.target_names[flowers.target]
    iris = spark.createDataFrame(frame).cache()
    folder = tmp_path_factory.mktemp("iris") / "shards"
    data = sd.partition(iris, folder, label="species", shards=2)
    model = sd.BaggingClassifier(estimator=DecisionTreeClassifier(), numMembers=2).fit(data)
    return {"spark": spark, "iris": iris, "data": data, "model": model}


@pytest.mark.parametrize("case", WITHOUT, ids=name_of)
def test_examples_that_need_no_session(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(case)


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, marks=pytest.mark.long, id=case[1])
        if is_long(case[1])
        else pytest.param(case, id=case[1])
        for case in WITH
    ],
)
def test_examples_with_a_session(case, given):
    run(case, **given)


def test_only_those_are_skipped_that_are_listed():
    skipped = {name for _, name, docstring in ALL if "doctest: +SKIP" in docstring}
    assert skipped == SKIPPED
    assert len(WITHOUT) + len(WITH) > 25


def test_public_estimators_have_an_example():
    from pyspark.ml.base import Estimator

    public = {n for n in sd.__all__ if isinstance(getattr(sd, n), type)}
    estimators = {n for n in public if issubclass(getattr(sd, n), Estimator)}
    shown = {name for _, name, _ in ALL}
    assert len(estimators) > 20
    assert estimators - shown == set()
