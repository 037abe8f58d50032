"""What cannot be learnt or told is refused in words, before or after the tasks; without Spark."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.tree import DecisionTreeClassifier

from sparkml_dist.cluster.tasks import TaskOutcome
from sparkml_dist.errors import ConfigurationError, StorageError, TrainingError
from sparkml_dist.learners.dry_fit import missing_values
from sparkml_dist.learners.fitting import fit_learner
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.bank import LoadedMembers, MemberBank
from sparkml_dist.members.engine import raise_failures
from sparkml_dist.members.learner_params import check_learner
from sparkml_dist.members.member import MemberPlan
from sparkml_dist.members.sampling import Sampling
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder


def outcome(index, error=None):
    return TaskOutcome(index, {}, error, 0.1, 0, 0)


def plans(*shards):
    return [MemberPlan(i, 0, s, Sampling.of("pasting")) for i, s in enumerate(shards)]


class TestFailures:
    def test_a_shard_where_all_fail_is_named(self):
        broken = TrainingError("task_failed", "ValueError: no convergence")
        outcomes = [outcome(0), outcome(1, broken), outcome(2), outcome(3, broken)]
        with pytest.raises(TrainingError) as caught:
            raise_failures(outcomes, plans((0,), (1,), (2,), (1,)))
        assert caught.value.code == "member_failed"
        assert "2 of 4 members failed; member 1 on shard 1" in caught.value.message
        assert "No member succeeded on shard(s) 1." in caught.value.message
        assert "committed" in caught.value.hint

    def test_a_shard_that_others_learnt_from_is_not_blamed(self):
        broken = TrainingError("task_failed", "ValueError: no convergence")
        outcomes = [outcome(0), outcome(1, broken)]
        with pytest.raises(TrainingError) as caught:
            raise_failures(outcomes, plans((0, 1), (1,)))
        assert "No member succeeded" not in caught.value.message

    def test_an_error_of_ours_keeps_its_kind(self):
        cut = StorageError("file_altered", "Shard 1 is cut.", "Cut anew.")
        with pytest.raises(StorageError, match="Shard 1 is cut") as caught:
            raise_failures([outcome(0), outcome(1, cut)], plans((0,), (1,)))
        assert caught.value.code == "file_altered"


def data(*, layout="columns", missing=(), rows=10, features=3):
    return SimpleNamespace(
        feature_names=[f"f{i}" for i in range(features)],
        manifest=SimpleNamespace(missing_features=missing),
        shards=[SimpleNamespace(rows=rows)],
        n_features=features,
        layout=layout,
    )


def test_missing_values_name_learner_and_columns():
    error = missing_values("GaussianNB", data(missing=(0, 2)))
    assert "GaussianNB does not accept missing" in error.message
    assert error.message.endswith("2 feature(s): f0, f2.")


def test_a_sparse_shard_that_is_too_large_made_dense():
    wide = data(layout="sparse", rows=100_000, features=10_000)
    with pytest.raises(ConfigurationError, match="GaussianNB does not accept sparse") as caught:
        check_learner(Traits.of(GaussianNB()), wide)
    assert caught.value.code == "sparse_not_supported"
    check_learner(Traits.of(DecisionTreeClassifier()), wide)


class Fickle(DecisionTreeClassifier):
    """Gives a column too many for its second block."""

    def predict_proba(self, X):
        proba = super().predict_proba(X)
        return np.column_stack([proba, proba[:, :1]]) if len(X) == 2 else proba


def loaded(learner, n_classes, tmp_path):
    member = StoredMember("members/member-00000.skops", "", 1.0, None, "float32", True, True)
    bank = MemberBank(Folder.at(tmp_path), (member,), n_classes, ("a", "b"))
    return LoadedMembers(bank, [learner])


@pytest.mark.parametrize("n_classes", [2, 4])
def test_a_learner_that_changes_its_width(tmp_path, n_classes):
    X = np.arange(12, dtype=np.float32).reshape(6, 2)
    members = loaded(Fickle().fit(X, [0, 1, 0, 1, 0, 1]), n_classes, tmp_path)
    for _ in members.add_probabilities(X, np.zeros((6, n_classes))):
        pass
    with pytest.raises(TrainingError, match="member-00000.*must return 2 columns") as caught:
        next(members.add_probabilities(X[:2], np.zeros((2, n_classes))))
    assert caught.value.code == "output_width"


def test_a_fold_without_a_class_is_padded(tmp_path):
    X = np.arange(8, dtype=np.float32).reshape(4, 2)
    members = loaded(DecisionTreeClassifier().fit(X, [0, 2, 0, 2]), 3, tmp_path)
    votes = np.zeros((4, 3))
    next(members.add_probabilities(X, votes))
    assert votes[:, 1].tolist() == [0.0] * 4
    assert votes.argmax(axis=1).tolist() == [0, 2, 0, 2]


def test_a_fold_of_one_class_is_a_constant_and_says_so():
    learner = HistGradientBoostingClassifier()
    X, y = np.ones((5, 2)), np.full(5, 3)
    fitted, _, texts = fit_learner(learner, X, y, None, Traits.of(learner))
    assert fitted.predict(X).tolist() == [3] * 5
    assert texts == ["only one class in the bag: the member always predicts it"]
