"""From the outputs of a network to probabilities."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.deep.input.inputs import InputSpec
from sparkml_dist.deep.scoring.forward import batch_rows
from sparkml_dist.deep.scoring.scorer import KerasScorer
from sparkml_dist.errors import StorageError
from sparkml_dist.persistence.filesystem import Folder


def _scorer(**changes):
    fields = {"n_classes": 3, "inputs": InputSpec.single(4), "units": 3, "logits": False, **changes}
    return KerasScorer(Folder.at("/nowhere"), "model.keras", "0" * 64, **fields)


def test_softmax_outputs_are_left_alone():
    p = np.array([[0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(_scorer().probabilities(p), p, rtol=1e-6)


def test_sigmoids_are_made_to_add_up():
    found = _scorer().probabilities(np.array([[0.5, 0.5, 1.0], [0.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.25, 0.25, 0.5], [1 / 3] * 3], rtol=1e-6)


def test_logits():
    found = _scorer(logits=True).probabilities(np.array([[1000.0, 1000.0, -1000.0]]))
    np.testing.assert_allclose(found, [[0.5, 0.5, 0.0]])


def test_one_unit():
    one = _scorer(n_classes=2, units=1).probabilities(np.array([[0.9], [0.2]]))
    np.testing.assert_allclose(one, [[0.1, 0.9], [0.8, 0.2]], rtol=1e-5)
    logit = _scorer(n_classes=2, units=1, logits=True).probabilities(np.array([[0.0], [-1e6]]))
    np.testing.assert_allclose(logit, [[0.5, 0.5], [1.0, 0.0]])


def test_batches_are_bounded_in_bytes():
    assert batch_rows(InputSpec.single(4)) == 2048
    assert batch_rows(InputSpec.single(224 * 224 * 3, (224, 224, 3))) == 27


def test_an_altered_file_is_refused_before_keras_is_imported(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"altered")
    scorer = KerasScorer(
        Folder.at(tmp_path), "model.keras", "0" * 64, 3, InputSpec.single(4), 3, False
    )
    with pytest.raises(StorageError, match="file_altered"):
        scorer.load()
