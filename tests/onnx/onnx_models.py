"""Members fitted in RAM and stored as a fit stores them, for tests of what is made of them."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.learners.fitting import member_traits, store_member
from sparkml_dist.learners.learner import Traits
from sparkml_dist.members.bank import MemberBank
from sparkml_dist.members.combiner import Combiner
from sparkml_dist.members.stored_member import StoredMember
from sparkml_dist.persistence.filesystem import Folder

WIDTH = 6
SCHEMA = FeatureSchema.build(
    [FeatureColumn(f"f{i}", "numeric") for i in range(WIDTH)], sparse=False
)
LETTERS = Label("y", "string", ("a", "b", "c"))
NUMBERS = Label("y", "integer", (3, 5, 8))
TARGET = Label("y", "target")


def data(rows=600, *, missing=False):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(rows, WIDTH)).astype(np.float32)
    y = ((X[:, 0] + X[:, 1] > 0).astype(np.int32) + (X[:, 2] > 0.5)).astype(np.int32)
    target = np.abs(X[:, 0]) * 100.0 + np.abs(X[:, 3])
    if missing:
        X[rng.random(X.shape) < 0.1] = np.nan
    return X, y, target


def combiner(path, learners, voting="soft", *, missing=False, plain=False, trusted=()):
    """Fit learners; every second on some features in another order, every third without class 1.

    With `plain`, all on all; the weights of the members differ.
    """
    X, y, target = data(missing=missing)
    folder, members = Folder.at(path), []
    for i, learner in enumerate(learners):
        features = None if plain or i % 2 == 0 else np.array([4, 1, 0, 2])
        rows = np.full(len(X), True)
        if voting != "mean" and i % 3 == 1 and not plain:
            rows = y != 1
        block = X if features is None else X[:, features]
        learner.fit(block[rows], (target if voting == "mean" else y)[rows])
        record = store_member(
            folder,
            f"member-{i:05d}",
            learner,
            member_traits(Traits.of(learner), features),
            trusted=trusted,
        )
        members.append(StoredMember.from_record(record, 1.0 + i))
    names = tuple(SCHEMA.feature_names)
    bank = MemberBank(folder, tuple(members), 0 if voting == "mean" else 3, names, tuple(trusted))
    return Combiner(bank, voting)


def needs(*packages):
    for package in packages:
        pytest.importorskip(package, reason=f"{package} (extra onnx) is not installed")
