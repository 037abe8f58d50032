"""Members that silos fit: what they send, and what is refused of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from sparkml_dist.errors import TrainingError
from sparkml_dist.federated import Federation
from sparkml_dist.federated.ensembles.bagging import federated_members
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.learners import dump_learner, load_learner, skops_bytes

TREE = DecisionTreeClassifier(max_depth=3)


def silos():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(120, 3))
    y = (X[:, 0] > 0).astype(int) + (X[:, 1] > 1)
    at = np.minimum(np.arange(120) // 30, 2)
    found = {f"s{i}": (X[at == i], y[at == i]) for i in range(3)}
    found["one class"] = (X[:5], np.full(5, 2))
    return found


def stored(folder, found):
    return [load_learner(folder.read_bytes(r["file"]), r["file"]) for r in found.records]


def test_members_are_those_of_the_silos(tmp_path):
    folder, own = Folder.at(str(tmp_path)), silos()
    found = federated_members(
        Federation.in_memory(own), LogisticRegression(), folder, members=2, max_samples=1.0
    )
    assert [r["silo"] for r in found.records] == sorted([*own] * 2)
    weights = np.array([30, 30, 60, 5]) / 125
    by_silo = dict(zip(["s0", "s1", "s2", "one class"], weights, strict=True))
    for record, weight in zip(found.records, found.weights, strict=True):
        assert weight == pytest.approx(by_silo[record["silo"]] / 2)
    for record, learner in zip(found.records, stored(folder, found), strict=True):
        X, y = own[record["silo"]]
        if record["silo"] == "one class":
            np.testing.assert_array_equal(learner.classes_, [2])
        else:
            alone = LogisticRegression().fit(X.astype(np.float32), y)
            np.testing.assert_allclose(learner.coef_, alone.coef_, rtol=1e-5)


def test_silos_count_equally(tmp_path):
    found = federated_members(
        Federation.in_memory(silos()), TREE, Folder.at(str(tmp_path)), weighting="equal"
    )
    assert found.weights == [0.25] * 4


def test_bags_are_drawn_again_with_the_same_seed(tmp_path):
    sums = []
    for run in range(3):
        found = federated_members(
            Federation.in_memory(silos(), seed=run // 2),
            TREE,
            Folder.at(str(tmp_path / str(run))),
            bootstrap=True,
            members=2,
        )
        sums.append([r["sha256"] for r in found.records])
    assert sums[0] == sums[1] != sums[2]
    assert sums[0][2] != sums[0][3]


def forge(content):
    def alter(answer, request):
        if request.kind != "fit_members":
            return answer
        return replace(answer, arrays={"member-00000": np.frombuffer(content, np.uint8)})

    return alter


class Unknown(DecisionTreeClassifier):
    pass


X4 = np.random.default_rng(0).normal(size=(20, 4))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no archive", "damaged_member"),
        (skops_bytes(Unknown().fit(X4[:, :3], np.arange(20) % 2)), "untrusted_type"),
        (dump_learner(TREE.fit(X4, np.arange(20) % 2)), "damaged_member"),
        (dump_learner(TREE.fit(X4[:, :3], np.arange(20) % 9)), "damaged_member"),
        (dump_learner(DecisionTreeRegressor().fit(X4[:, :3], X4[:, 0])), "damaged_member"),
    ],
    ids=["garbage", "unknown type", "other features", "other classes", "regressor"],
)
def test_forged_members_are_not_in_the_vote(tmp_path, content, why):
    federation = Federation.in_memory(silos(), alter={"s1": forge(content)})
    found = federated_members(federation, TREE, Folder.at(str(tmp_path)), minimum=3)
    assert {r["silo"] for r in found.records} == {"s0", "s2", "one class"}
    assert why in found.refused["s1"]
    again = Federation.in_memory(silos(), alter={"s1": forge(content)})
    with pytest.raises(TrainingError, match="needed"):
        federated_members(again, TREE, Folder.at(str(tmp_path / "again")), minimum=4)


def test_a_member_that_is_too_large_does_not_leave(tmp_path):
    with pytest.raises(TrainingError) as error:
        federated_members(
            Federation.in_memory(silos()), TREE, Folder.at(str(tmp_path)), member_bytes=100
        )
    assert error.value.code == "too_few_silos"
