"""Parameters: maximum likelihood, priors, and EM with missing values."""

import numpy as np
import pandas as pd
import pytest

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.graphical.counting.coded_rows import LocalRows
from sparkml_dist.graphical.expectation_maximization import (
    expectation_maximization,
    expected_counts,
)
from sparkml_dist.graphical.inference.sampling import sample_codes
from sparkml_dist.graphical.learning import FitPlan, learn_network
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.parameters import Prior, fitted_network, table_of
from sparkml_dist.graphical.structure_learning import StructurePlan
from tests.graphical.networks import counted, random_network, read, rows_of


def test_parameters_are_shares_of_counts():
    frame = pd.DataFrame({"a": list("xxxyy"), "b": list("uuvvv"), "c": list("ppppq")})
    counts = counted(frame)
    graph = ((), (0,), ())
    plain = fitted_network(counts, graph, Prior())
    assert plain.tables[0] == pytest.approx([0.6, 0.4])
    assert plain.tables[1] == pytest.approx(np.array([[2 / 3, 1 / 3], [0, 1]]))
    shared = fitted_network(counts, graph, Prior("bdeu", 8))
    assert shared.tables[1] == pytest.approx(np.array([[4 / 7, 3 / 7], [2 / 6, 4 / 6]]))
    each = fitted_network(counts, graph, Prior("k2", 1), plain=[0])
    assert each.tables[0] == pytest.approx([0.6, 0.4]) and each.tables[1][1, 0] == 1 / 4
    assert table_of(np.array([[0, 0], [1, 3]]), Prior()).tolist() == [[0.5, 0.5], [0.25, 0.75]]


def test_a_family_in_any_order_of_columns():
    rng = np.random.default_rng(0)
    network = random_network(rng, 5)
    rows = LocalRows(network.variables, sample_codes(network, 200_000, rng))
    from sparkml_dist.graphical.counting.family_counts import FamilyCounts

    found = fitted_network(FamilyCounts(rows), network.parents, Prior())
    for table, expected, of in zip(found.tables, network.tables, network.parents, strict=True):
        if not of:
            assert table == pytest.approx(expected, abs=0.01)
    codes = sample_codes(network, 2000, rng)
    # The fitted parameters have the greatest likelihood of all, so they are close to the true ones.
    gap = network.log_likelihoods(codes).mean() - found.log_likelihoods(codes).mean()
    assert abs(gap) < 0.005


def test_expected_counts_of_complete_rows_are_counts(shared_data):
    asia = read(shared_data / "asia.bif.gz")
    codes = sample_codes(asia, 300, np.random.default_rng(0))
    found = expected_counts(codes, asia)
    assert found["log_likelihood"] == pytest.approx(asia.log_likelihoods(codes).sum())
    for v in range(8):
        counts = np.zeros(asia.tables[v].shape)
        np.add.at(counts, tuple(codes[:, w] for w in asia.family(v)), 1)
        assert (found[str(v)] == counts).all()


def test_em_finds_the_closed_form_of_a_monotone_pattern():
    """With b missing at random given a, P(a) uses all rows and P(b | a) those with b."""
    a = np.repeat([0, 0, 1, 1], [30, 10, 20, 40])
    b = np.repeat([0, 1, 0, 1], [30, 10, 20, 40])
    codes = np.stack([a, np.where(np.arange(100) % 3 == 0, -1, b)], axis=1)
    network = random_network(np.random.default_rng(0), 2)
    variables = type(network.variables)(
        tuple(type(network.variables[0])(n, ("0", "1")) for n in "ab")
    )
    start = Network(variables, ((), (0,)), (np.full(2, 0.5), np.full((2, 2), 0.5)))
    fits = [
        expectation_maximization(LocalRows(variables, codes, n), start, Prior(), tol=1e-12)
        for n in (1, 3, 8)
    ]
    found = fits[0]
    assert found.converged and (np.diff(found.log_likelihoods) > -1e-9).all()
    assert found.network.tables[0] == pytest.approx([0.4, 0.6])
    known = codes[codes[:, 1] >= 0]
    for state in (0, 1):
        share = (known[known[:, 0] == state, 1] == 0).mean()
        assert found.network.tables[1][state, 0] == pytest.approx(share, abs=1e-6)
    for other in fits[1:]:
        assert other.network.tables[1] == pytest.approx(found.network.tables[1], rel=1e-12)


@pytest.mark.long
def test_em_comes_near_the_truth(shared_data):
    asia = read(shared_data / "asia.bif.gz")
    rng = np.random.default_rng(0)
    codes = sample_codes(asia, 4000, rng)
    holes = np.where(rng.random(codes.shape) < 0.1, -1, codes)
    start = Network(
        asia.variables,
        asia.parents,
        tuple(table_of(np.ones(t.shape), Prior()) for t in asia.tables),
    )
    fit = expectation_maximization(LocalRows(asia.variables, holes), start, Prior("k2", 1.0))
    assert (np.diff(fit.log_likelihoods) > -1e-6).all()
    for v in (2, 3, 4):  # smoke, lung, bronc: many rows each
        assert abs(fit.network.tables[v] - asia.tables[v]).max() < 0.05


def _learn(frame, missing="error", **structure):
    return learn_network(rows_of(frame), FitPlan(StructurePlan(**structure), Prior(), missing))


def test_what_is_done_about_missing_values():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 2, 400)
    b = np.where(rng.random(400) < 0.1, 1 - a, a)
    frame = pd.DataFrame({"a": a, "b": b}).astype(str)
    whole = _learn(frame)
    frame.loc[::5, "b"] = np.nan
    with pytest.raises(DataError, match=r"b \(80\)") as caught:
        _learn(frame)
    assert caught.value.code == "missing_values" and "em" in caught.value.hint
    skipped = _learn(frame, "skip")
    assert skipped.facts["rows"] == 320
    filled = _learn(frame, "em")
    assert filled.network.parents == skipped.network.parents == whole.network.parents
    assert filled.network.tables[0] == pytest.approx(whole.network.tables[0], abs=0.05)
    assert filled.facts["em"]["converged"]
    frame.loc[1::5, "a"] = frame.loc[2::5, "a"] = np.nan
    frame.loc[3::5, "b"] = frame.loc[4::5, "a"] = np.nan
    with pytest.raises(DataError, match="No row is complete"):
        _learn(frame, "em")


def test_facts_of_a_fit(shared_data):
    frame = pd.read_csv(shared_data / "asia.csv.gz", dtype=str)
    found = _learn(frame, structure="hill-climbing", restarts=1)
    assert found.facts["score"] == found.facts["scores"]["bic"] == pytest.approx(-11107.293309393)
    assert found.facts["parameters"] == found.network.n_parameters and found.facts["rows"] == 5000
    logs = found.network.log_likelihoods(rows_of(frame).codes).sum()
    assert found.facts["scores"]["loglik"] == pytest.approx(logs)


def test_strengths_of_arcs(shared_data):
    frame = pd.read_csv(shared_data / "learning-test.csv", dtype=str).iloc[:1500]
    plan = FitPlan(StructurePlan(restarts=0, tabu=0), Prior(), bootstraps=6)
    found = learn_network(rows_of(frame), plan).facts["strengths"]
    strong = {frozenset((s["from"], s["to"])) for s in found if s["strength"] == 1}
    assert {frozenset(p) for p in ("AB", "AD", "CD", "BE", "FE")} <= strong
    assert all(0.5 <= s["direction"] <= 1 for s in found)


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        ({"structure": "hill"}, "invalid_param"),
        ({"score": "bis"}, "invalid_param"),
        ({"structure": "tan"}, "invalid_param"),
        ({"structure": "tan", "target": "z"}, "unknown_variable"),
        ({"structure": "chow-liu", "white": [("a", "b")]}, "option_not_used"),
        ({"max_parents": 0}, "invalid_param"),
        ({"restarts": -1}, "invalid_param"),
        ({"structure": "pc", "alpha": 1.0}, "invalid_param"),
        ({"structure": "pc", "test": "z2"}, "invalid_param"),
        ({"white": [("a", "b"), ("b", "a")]}, "cycle"),
    ],
)
def test_plans_that_cannot_work(settings, code):
    with pytest.raises(ConfigurationError) as caught:
        StructurePlan(**settings).check(["a", "b"])
    assert caught.value.code == code


def test_an_exact_search_has_a_bound():
    with pytest.raises(ConfigurationError, match="at most 20 variables. Got 21"):
        StructurePlan(structure="exact").check([f"v{i}" for i in range(21)])
