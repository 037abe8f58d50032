"""What is sent to workers: machines from files, which are checked before they are used."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import StorageError
from sparkml_dist.kernels.fourier_map import FourierMap
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.machine_files import write_arrays, write_machine
from sparkml_dist.kernels.machine_scorer import MachineScorer
from sparkml_dist.kernels.process.committee_scorer import CommitteeScorer
from sparkml_dist.kernels.process.sparse_scorer import SparseScorer
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered
from sparkml_dist.persistence.filesystem import Folder

RNG = np.random.default_rng(9)
X = RNG.normal(size=(20, 3))
KERNEL = kernel_of("rbf", 1.5)
SPACE = Centered(KERNEL, Scaling.none(3), X[:5])
NUMBERS = (0, 0, 0)


def scorer(folder, coefficients, intercept, classes=0, link="squared", space=SPACE):
    files = write_machine(Folder.at(folder), space, coefficients, intercept)
    given = (KERNEL, "float64", NUMBERS, classes, link)
    return MachineScorer(Folder.at(folder), tuple(files), *given)


def test_scores_are_weighted_similarities(tmp_path):
    weights = RNG.normal(size=(5, 1))
    found = scorer(tmp_path, weights, np.array([0.5])).load()(X)
    assert found == pytest.approx((KERNEL.matrix(X, X[:5]) @ weights)[:, 0] + 0.5)
    waves = FourierMap.drawn(KERNEL, Scaling.none(3), 8, 1)
    weights = RNG.normal(size=(8, 1))
    found = scorer(tmp_path / "w", weights, np.array([0.5]), space=waves).load()(X)
    assert found == pytest.approx((waves.features(X) @ weights)[:, 0] + 0.5)


def test_scores_become_probabilities(tmp_path):
    weights = RNG.normal(size=(5, 3))
    margins = KERNEL.matrix(X, X[:5]) @ weights
    soft = scorer(tmp_path / "l", weights, np.zeros(3), 3, "logistic").load()(X)
    powers = np.exp(margins)
    assert soft == pytest.approx(powers / powers.sum(axis=1, keepdims=True))
    cut = scorer(tmp_path / "s", weights, np.zeros(3), 3).load()(X)
    some = margins.max(axis=1) > 0
    kept = np.maximum(margins[some], 0)
    assert cut[some] == pytest.approx(kept / kept.sum(axis=1, keepdims=True))
    # Where no score is positive, the best is still the best.
    none = scorer(tmp_path / "n", weights, np.full(3, -99.0), 3).load()(X)
    assert none.sum(axis=1) == pytest.approx(1.0)
    assert (none.argmax(axis=1) == margins.argmax(axis=1)).all()


def test_altered_files_are_refused(tmp_path):
    made = scorer(tmp_path, np.ones((5, 1)), np.zeros(1))
    file = tmp_path / "coefficients.npy"
    file.write_bytes(file.read_bytes()[:-8] + bytes(8))
    with pytest.raises(StorageError) as caught:
        made.load()
    assert caught.value.code == "file_altered"


@pytest.mark.parametrize(
    ("coefficients", "intercept"), [(np.ones((4, 1)), np.zeros(1)), (np.ones((5, 2)), np.zeros(2))]
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, coefficients, intercept):
    with pytest.raises(StorageError) as caught:
        scorer(tmp_path, coefficients, intercept).load()
    assert caught.value.code == "array_damaged"


@pytest.mark.parametrize("missing", ["spread", "calibration", "centers", "mean"])
def test_a_sparse_process_needs_all_of_its_arrays(tmp_path, missing):
    arrays = {
        "centers": X[:5],
        "coefficients": np.ones((5, 1)),
        "intercept": np.zeros(1),
        "mean": np.zeros(3),
        "scale": np.ones(3),
        "spread": np.zeros((5, 2)),
        "calibration": np.array([2.0]),
    }
    folder = Folder.at(tmp_path)
    whole = SparseScorer(folder, tuple(write_arrays(folder, **arrays)), KERNEL, NUMBERS, 1.0, 0.5)
    assert whole.distribution()(X)[1] == pytest.approx(4 * 1.5)
    del arrays[missing]
    part = SparseScorer(folder, tuple(write_arrays(folder, **arrays)), KERNEL, NUMBERS, 1.0, 0.5)
    with pytest.raises(StorageError):
        part.distribution()


def test_the_rows_of_experts_must_fit_their_targets(tmp_path):
    arrays = {
        "mean": np.zeros(3),
        "scale": np.ones(3),
        "intercept": np.array([2.0]),
        "shared_rows": X[:4],
        "shared_targets": np.ones(4),
        "rows_0": X[4:9],
        "targets_0": np.ones(5),
        "rows_1": np.empty((0, 3)),
        "targets_1": np.empty(0),
    }
    folder = Folder.at(tmp_path)
    whole = CommitteeScorer(
        folder, tuple(write_arrays(folder, **arrays)), KERNEL, NUMBERS, 1.0, 0.1
    )
    mean, variance = whole.distribution()(X)
    assert mean[:9] == pytest.approx(3.0, abs=0.3) and (variance > 0.1).all()
    arrays["targets_0"] = np.ones(4)
    part = CommitteeScorer(folder, tuple(write_arrays(folder, **arrays)), KERNEL, NUMBERS, 1.0, 0.1)
    with pytest.raises(StorageError) as caught:
        part.distribution()
    assert caught.value.code == "array_damaged"
