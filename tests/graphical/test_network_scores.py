"""Scores of graphs and tests of independence: published values, and closed forms."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import gammaln
from scipy.stats import chi2_contingency

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.graph import parents_of
from sparkml_dist.graphical.independence import independence_test
from sparkml_dist.graphical.scores import SCORES, Score, check_score, mutual_information
from sparkml_dist.graphical.structures.bayes_classifiers import conditional_information
from sparkml_dist.graphical.structures.family_scores import FamilyScores
from tests.graphical.networks import TRUE_GRAPHS, counted, graph_of, read, table_of

PUBLISHED = {
    "learning-test.csv": {"bic": -24006.734232, "bdeu": -23967.649625, "k2": -23958.695338},
    "asia.csv.gz": {"bic": -11109.741872, "bdeu": -11142.014366, "k2": -11110.151719},
}
#: The network's names of the table's columns, where they differ.
ALARM = {
    "HIST": "HISTORY",
    "HYP": "HYPOVOLEMIA",
    "LVV": "LVEDVOLUME",
    "LVF": "LVFAILURE",
    "STKV": "STROKEVOLUME",
    "ERLO": "ERRLOWOUTPUT",
    "HREK": "HREKG",
    "ERCA": "ERRCAUTER",
    "HRSA": "HRSAT",
    "ANES": "INSUFFANESTH",
    "APL": "ANAPHYLAXIS",
    "ECO2": "EXPCO2",
    "KINK": "KINKEDTUBE",
    "MINV": "MINVOL",
    "PVS": "PVSAT",
    "PMB": "PULMEMBOLUS",
    "SHNT": "SHUNT",
    "INT": "INTUBATION",
    "PRSS": "PRESS",
    "DISC": "DISCONNECT",
    "MVS": "MINVOLSET",
    "VMCH": "VENTMACH",
    "VTUB": "VENTTUBE",
    "VLNG": "VENTLUNG",
    "VALV": "VENTALV",
    "ACO2": "ARTCO2",
    "CCHL": "CATECHOL",
}


def _frame(n=400, seed=0):
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 3, n), rng.integers(0, 2, n)
    c = (a + b + (rng.random(n) < 0.2)) % 3
    return pd.DataFrame({"a": a, "b": b, "c": c, "d": rng.integers(0, 4, n)}).astype(str)


@pytest.mark.parametrize("name", TRUE_GRAPHS)
@pytest.mark.parametrize("blocks", [1, 3, 8])
def test_scores_of_true_graphs_are_the_published_ones(shared_data, name, blocks):
    counts = counted(table_of(shared_data / name), blocks=blocks)
    graph = graph_of(TRUE_GRAPHS[name], counts.variables.names)
    for score, value in PUBLISHED[name].items():
        # Half a unit of the last digit that was published.
        assert abs(Score(score, counts.n_rows).network(counts, graph) - value) < 6e-7


@pytest.mark.long
def test_scores_of_alarm_are_the_published_ones(shared_data):
    counts = counted(table_of(shared_data / "alarm.csv.gz"))
    true, names = read(shared_data / "alarm.bif.gz"), counts.variables.names
    place = {ALARM.get(name, name): names.index(name) for name in names}
    graph = parents_of(len(names), [(place[a], place[b]) for a, b in true.arcs])
    published = {"bic": -218769.838275, "bdeu": -217749.682479, "k2": -217980.907775}
    for score, value in published.items():
        assert abs(Score(score, counts.n_rows).network(counts, graph) - value) < 6e-7


def test_scores_are_their_definitions():
    frame = _frame()
    counts = counted(frame)
    table = pd.crosstab(frame["c"], [frame["a"], frame["b"]]).to_numpy()
    r, q = table.shape
    shares = table / table.sum(axis=0)
    fit = float((table * np.log(np.where(table > 0, shares, 1))).sum())

    def marginal(cell):
        prior = np.full((r, q), cell)
        return float(
            (gammaln(prior.sum(0)) - gammaln((prior + table).sum(0))).sum()
            + (gammaln(prior + table) - gammaln(prior)).sum()
        )

    expected = {
        "loglik": fit,
        "aic": fit - (r - 1) * q,
        "bic": fit - np.log(400) / 2 * (r - 1) * q,
        "k2": marginal(1.0),
        "bdeu": marginal(7 / (r * q)),
    }
    for name in SCORES:
        assert Score(name, 400, 7.0).family(table) == pytest.approx(expected[name], rel=1e-12)
        scores = FamilyScores(counts, Score(name, 400, 7.0))
        assert scores.additions(2, (0,))[1] == pytest.approx(expected[name], rel=1e-12)
        assert scores.family(2, (0, 1)) == pytest.approx(expected[name], rel=1e-12)


def test_likelihood_equivalent_scores_do_not_tell_directions_apart():
    counts = counted(_frame())
    for name in ("bic", "aic", "bdeu", "loglik"):
        score = Score(name, 400)
        there, back = (score.network(counts, g) for g in (((), (0,), (), ()), ((1,), (), (), ())))
        assert there == pytest.approx(back, rel=1e-12)


def test_mutual_informations_are_their_definitions():
    from sklearn.metrics import mutual_info_score

    frame = _frame()
    counts = counted(frame)
    found, given = mutual_information(counts), conditional_information(counts, 3)
    parts = [part for _, part in frame.groupby("d")]
    for i, a in enumerate("abc"):
        for j, b in enumerate("abc"):
            if i != j:
                expected = mutual_info_score(frame[a], frame[b])
                assert found[i, j] == pytest.approx(expected, abs=1e-12)
                expected = sum(len(p) / 400 * mutual_info_score(p[a], p[b]) for p in parts)
                assert given[i, j] == pytest.approx(expected, abs=1e-12)


def test_tests_of_independence(shared_data):
    counts = counted(table_of(shared_data / "learning-test.csv"))
    alone = counts.table((3, 4))
    found = independence_test(alone)
    assert (round(found.statistic, 6), found.df) == (87.698854, 4)
    given = independence_test(np.moveaxis(counts.table((1, 3, 4)), 0, 2))
    assert (round(given.statistic, 6), given.df, round(given.p, 4)) == (11.739825, 12, 0.4668)
    for test, power in (("x2", "pearson"), ("g2", "log-likelihood")):
        expected = chi2_contingency(alone, correction=False, lambda_=power)
        found = independence_test(alone, test)
        assert found.statistic == pytest.approx(expected.statistic)
        assert found.p == pytest.approx(expected.pvalue)
    assert independence_test(alone, "mi").statistic * 2 * 5000 == pytest.approx(
        independence_test(alone, "g2").statistic
    )


@pytest.mark.parametrize(("name", "size"), [("bis", 1.0), ("bdeu", 0.0), ("bdeu", np.nan)])
def test_scores_that_do_not_exist(name, size):
    with pytest.raises(ConfigurationError) as caught:
        check_score(name, size)
    assert caught.value.code == "invalid_param"
