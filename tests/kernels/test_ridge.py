"""Machines on centres, without Spark: exact answers, scikit-learn's, published ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LogisticRegression, Ridge

from sparkml_dist.dataset.subsets import Validation
from sparkml_dist.errors import DataError
from sparkml_dist.kernels.fourier_map import FourierMap
from sparkml_dist.kernels.functions.families import kernel_of
from sparkml_dist.kernels.ridge.fit import SolverSettings, fit_machine
from sparkml_dist.kernels.ridge.targets import Targets
from sparkml_dist.kernels.scaling import Scaling
from sparkml_dist.kernels.settings import Centered
from tests.kernels.rows import MemoryRows

RNG = np.random.default_rng(3)
X = RNG.normal(size=(300, 4))
Y = np.sin(X[:, 0]) + X[:, 1] * X[:, 2] + 5.0 + RNG.normal(scale=0.1, size=300)
CODES = np.digitize(Y, [4.5, 5.5])
KERNEL = kernel_of("rbf", 1.5)


def settings(**more):
    given = {"alphas": (0.1,), "intercept": True, "loss": "squared", "solver": "direct"}
    return SolverSettings(**{**given, "tol": 1e-12, "max_iter": 300, "dtype": "float64", **more})


def on(centers, rows=X, kernel=KERNEL):
    return Centered(kernel, Scaling.none(rows.shape[1]), centers)


def scores(machine, found, rows=X):
    return found.kernel.matrix(rows, found.centers) @ machine.coefficients + machine.intercept


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_with_every_row_as_a_centre_it_is_kernel_ridge(solver):
    rows, found = MemoryRows(X, Y), on(X)
    machine = fit_machine(rows, found, Targets(0), settings(intercept=False, solver=solver))
    theirs = KernelRidge(alpha=0.1, kernel="rbf", gamma=1 / 4.5).fit(X, Y).predict(X)
    # Conjugate gradients stop at a residual of 1e-12; the condition number is about 1e4.
    assert scores(machine, found)[:, 0] == pytest.approx(theirs, abs=1e-6)
    assert machine.summary["converged"]


@pytest.mark.parametrize("solver", ["direct", "cg"])
@pytest.mark.parametrize("intercept", [False, True])
def test_with_some_centres_it_is_ridge_on_nystroem(solver, intercept):
    weight = RNG.integers(0, 4, 300).astype(float)
    found = on(X[:40])
    machine = fit_machine(
        MemoryRows(X, Y, weight), found, Targets(0), settings(intercept=intercept, solver=solver)
    )
    features = Nystroem(gamma=1 / 4.5, n_components=40).fit(X[:40]).transform(X)
    theirs = Ridge(alpha=0.1, fit_intercept=intercept).fit(features, Y, sample_weight=weight)
    assert scores(machine, found)[:, 0] == pytest.approx(theirs.predict(features), abs=1e-7)


def test_weights_are_repetitions_and_blocks_change_nothing():
    weight = RNG.integers(0, 3, 300)
    again = np.repeat(np.arange(300), weight)
    found = on(X[:20])
    one = fit_machine(MemoryRows(X, Y, weight.astype(float)), found, Targets(0), settings())
    two = fit_machine(MemoryRows(X[again], Y[again], blocks=7), found, Targets(0), settings())
    assert scores(one, found) == pytest.approx(scores(two, found), abs=1e-9)


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_the_penalty_is_the_best_on_held_out_rows(solver):
    found, held = on(X[:40]), Validation(0.3, 5)
    alphas = (1e-4, 0.1, 100.0)
    machine = fit_machine(
        MemoryRows(X, Y), found, Targets(0, held), settings(alphas=alphas, solver=solver)
    )
    mask = held.mask(np.arange(300))
    features = Nystroem(gamma=1 / 4.5, n_components=40).fit(X[:40]).transform(X)
    path = []
    for alpha in alphas:
        ridge = Ridge(alpha=alpha).fit(features[~mask], Y[~mask])
        path.append(float(((ridge.predict(features[mask]) - Y[mask]) ** 2).mean()))
    assert [step["loss"] for step in machine.summary["path"]] == pytest.approx(path, rel=1e-6)
    best = alphas[int(np.argmin(path))]
    assert machine.summary["alpha"] == best
    theirs = Ridge(alpha=best).fit(features, Y).predict(features)
    assert scores(machine, found)[:, 0] == pytest.approx(theirs, abs=1e-7)


def test_classes_by_squared_loss_are_ridge_on_indicators():
    found = on(X[:40])
    machine = fit_machine(MemoryRows(X, CODES), found, Targets(3), settings())
    features = Nystroem(gamma=1 / 4.5, n_components=40).fit(X[:40]).transform(X)
    theirs = Ridge(alpha=0.1).fit(features, np.eye(3)[CODES]).predict(features)
    assert scores(machine, found) == pytest.approx(theirs, abs=1e-8)
    assert scores(machine, found).sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("classes", [2, 3])
def test_classes_by_logistic_loss_are_those_of_scikit_learn(classes):
    codes, found = np.minimum(CODES, classes - 1), on(X[:30])
    machine = fit_machine(
        MemoryRows(X, codes), found, Targets(classes), settings(loss="logistic", tol=1e-7)
    )
    assert machine.summary["converged"]
    features = Nystroem(gamma=1 / 4.5, n_components=30).fit(X[:30]).transform(X)
    # Two columns of half the coefficients each have half the penalty of one column.
    penalty = 0.1 if classes > 2 else 0.05
    theirs = LogisticRegression(C=1 / penalty, tol=1e-10, max_iter=5000).fit(features, codes)
    margins = scores(machine, found)
    share = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    assert share == pytest.approx(theirs.predict_proba(features), abs=1e-5)


@pytest.mark.parametrize("solver", ["direct", "cg"])
def test_on_random_features_it_is_ridge_on_them(solver):
    waves = FourierMap.drawn(KERNEL, Scaling.none(4), 60, 3)
    machine = fit_machine(MemoryRows(X, Y), waves, Targets(0), settings(solver=solver))
    features = waves.features(X)
    theirs = Ridge(alpha=0.1).fit(features, Y).predict(features)
    found = features @ machine.coefficients + machine.intercept
    assert found[:, 0] == pytest.approx(theirs, abs=1e-7)


def test_single_precision_is_near():
    found = on(X[:40])
    one = fit_machine(MemoryRows(X, Y), found, Targets(0), settings())
    for solver in ("direct", "cg"):
        two = fit_machine(
            MemoryRows(X, Y), found, Targets(0), settings(dtype="float32", solver=solver, tol=1e-5)
        )
        # Similarities have seven digits.
        assert scores(two, found) == pytest.approx(scores(one, found), abs=1e-3)


def test_copies_of_centres_do_no_harm():
    twice = on(np.vstack([X[:20], X[:20]]))
    once = on(X[:20])
    for solver in ("direct", "cg"):
        machine = fit_machine(MemoryRows(X, Y), twice, Targets(0), settings(solver=solver))
        other = fit_machine(MemoryRows(X, Y), once, Targets(0), settings())
        assert scores(machine, twice) == pytest.approx(scores(other, once), abs=1e-6)


def test_a_solver_that_does_not_converge_says_so():
    machine = fit_machine(MemoryRows(X, Y), on(X), Targets(0), settings(solver="cg", max_iter=2))
    assert not machine.summary["converged"]
    assert machine.summary["iterations"] == 2 and machine.summary["residual"] > 1e-12


def test_rows_without_weight_or_with_missing_values_are_refused():
    with pytest.raises(DataError) as caught:
        fit_machine(MemoryRows(X, Y, np.zeros(300)), on(X[:5]), Targets(0), settings())
    assert caught.value.code == "empty_data"
    holes = X.copy()
    holes[7, 1] = np.nan
    with pytest.raises(DataError) as caught:
        fit_machine(MemoryRows(holes, Y), on(X[:5]), Targets(0), settings())
    assert caught.value.code == "not_finite"


@pytest.fixture(scope="module")
def kin40k(shared_data):
    train = np.loadtxt(shared_data / "kin40k.train.txt.gz")
    test = np.loadtxt(shared_data / "kin40k.test.txt.gz", max_rows=30_000)
    return train[:, :8], train[:, 8], test[:, :8], test[:, 8]


@pytest.mark.long
@pytest.mark.parametrize(
    ("rows", "centers", "solver", "rmse"),
    [
        (10_000, 500, "direct", 0.347910),
        (10_000, 1000, "direct", 0.266006),
        (10_000, 500, "cg", 0.347910),
        (500, 500, "direct", 0.495341),
        (1000, 1000, "direct", 0.369980),
        (2000, 2000, "cg", 0.276774),
    ],
)
def test_kin40k(kin40k, rows, centers, solver, rmse):
    """Nyström on all rows, and exact Gaussian processes on the first ones."""
    X, y, others, wanted = kin40k
    found = on(X[:centers], X, kernel_of("rbf", 2.0))
    given = settings(alphas=(0.01,), intercept=False, solver=solver, tol=1e-9)
    mean = y[:rows].mean()  # a process of mean 0
    machine = fit_machine(MemoryRows(X[:rows], y[:rows] - mean), found, Targets(0), given)
    errors = scores(machine, found, others)[:, 0] + mean - wanted
    assert np.sqrt(np.mean(errors**2)) == pytest.approx(rmse, abs=6e-7)
