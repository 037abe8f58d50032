"""Params and summaries as texts and numbers."""

from __future__ import annotations

from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist import BaggingClassifier, HyperparameterSearch, VotingClassifier
from sparkml_dist.mlflow.values import Point, params_of, points_of, text_of


def test_params_and_those_of_the_learner():
    found = params_of(
        BaggingClassifier(estimator=DecisionTreeClassifier(max_depth=3), numMembers=4)
    )
    assert found["numMembers"] == "4"
    assert found["estimator"] == "DecisionTreeClassifier(max_depth=3)"
    assert found["estimator.max_depth"] == "3"
    assert found["estimator.max_features"] == "None"
    assert all(isinstance(value, str) and "0x" not in value for value in found.values())


def test_learners_by_name_and_functions_by_theirs():
    learners = [("tree", DecisionTreeClassifier()), ("line (2)", LogisticRegression(C=2.0))]
    assert params_of(VotingClassifier(estimators=learners))["estimators.line _2_.C"] == "2.0"

    def space(trial):
        return {}

    search = HyperparameterSearch(estimator=DecisionTreeClassifier(), space=space)
    assert params_of(search)["space"].endswith("space")


def test_long_texts_are_cut_and_lines_joined():
    assert text_of("a\n b") == "a b"
    assert len(text_of("x" * 10_000)) == 500


def test_numbers_by_epoch_by_member_and_of_the_whole():
    summary = {
        "seconds": {"fit": 2.5},
        "resumed": True,
        "note": "text",
        "history": {"loss": [0.5, 0.25], "val_loss": [0.6, None]},
        "members": [
            {"member": 0, "seconds": 1, "warnings": [], "history": {"loss": [3.0]}},
            {"member": 1, "seconds": 2, "warnings": [], "history": {"loss": [4.0]}},
        ],
        "curve": {"scores": [0.7, 0.8]},
    }
    assert set(points_of(summary)) == {
        Point("seconds.fit", 2.5),
        Point("loss", 0.5, 1),
        Point("loss", 0.25, 2),
        Point("val_loss", 0.6, 1),
        *(Point("member.member", i, i) for i in range(2)),
        Point("member.seconds", 1, 0),
        Point("member.seconds", 2, 1),
        Point("loss.member_000", 3.0, 1),
        Point("loss.member_001", 4.0, 1),
        Point("curve.scores", 0.7, 1),
        Point("curve.scores", 0.8, 2),
    }


def test_long_curves_are_thinned_out_and_names_are_legal():
    points = points_of({"history": {"läss (%)": list(range(10_001))}})
    assert len(points) <= 501 + 1
    assert (points[0].step, points[-1].step, points[-1].value) == (1, 10_001, 10_000)
    assert {p.name for p in points} == {"läss ___"}
