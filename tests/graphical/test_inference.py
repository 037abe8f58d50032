"""Inference: the published answers, and the joint table of small random networks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.graphical.inference.elimination import query
from sparkml_dist.graphical.inference.junction_tree import JunctionTree
from sparkml_dist.graphical.inference.most_probable import most_probable
from sparkml_dist.graphical.inference.row_inference import filled, log_likelihoods, posterior
from sparkml_dist.graphical.inference.sampling import sample_codes
from sparkml_dist.graphical.network import Network
from tests.graphical.networks import joint_table, random_network, read


def test_published_answers(shared_data):
    asia, alarm = (read(shared_data / f"{name}.bif.gz") for name in ("asia", "alarm"))
    assert abs(query(asia, ["dysp"])[0] - 0.4359706) < 1e-6
    assert abs(query(asia, ["xray"])[0] - 0.1102900) < 1e-6
    evidence = {"asia": "yes", "dysp": "yes"}
    assert abs(query(asia, ["lung"], evidence)[0] - 0.0995251) < 1e-6
    assert abs(query(alarm, ["BP"])[0] - 0.3899930927) < 1e-6
    tree = JunctionTree(alarm)
    beliefs = tree.beliefs({"BP": "LOW"})
    assert abs(np.exp(beliefs.log_probability) - 0.3899930927) < 1e-6 and tree.width == 4
    for name in alarm.names[:12]:
        if name != "BP":
            expected = query(alarm, [name], {"BP": "LOW"})
            assert beliefs.marginals[name] == pytest.approx(expected, abs=1e-12)


@given(st.integers(0, 10**6))
def test_all_ways_agree_with_the_joint_table(seed):
    rng = np.random.default_rng(seed)
    network = random_network(rng)
    names, joint = network.names, joint_table(network)
    assert joint.sum() == pytest.approx(1)
    picked = rng.permutation(len(names))
    known = {names[v]: network.variables[v].states[0] for v in picked[:2]}
    rest = joint[tuple(0 if names[v] in known else slice(None) for v in range(len(names)))]
    free = [name for name in names if name not in known]
    total = rest.sum()
    targets = [free[1], free[0]]
    expected = rest.sum(axis=tuple(range(2, len(free)))).T / total
    assert query(network, targets, known) == pytest.approx(expected)
    beliefs = JunctionTree(network).beliefs(known)
    assert np.exp(beliefs.log_probability) == pytest.approx(total)
    for i, name in enumerate(free):
        axes = tuple(a for a in range(len(free)) if a != i)
        assert beliefs.marginals[name] == pytest.approx(rest.sum(axis=axes) / total)
    states, log_probability = most_probable(network, known)
    assert np.exp(log_probability) == pytest.approx(rest.max())
    at = tuple(network.codes(states)[v] for v in range(len(names)))
    assert joint[at] == pytest.approx(rest.max()) and known.items() <= states.items()
    # Rows at once, whose missing values differ.
    rows = sample_codes(network, 12, rng)
    holes = np.where(rng.random(rows.shape) < 0.4, -1, rows)
    logs, last = log_likelihoods(network, holes), len(names) - 1
    shares = posterior(network, holes, (last,))
    for row, log, share in zip(holes, logs, shares, strict=True):
        part = joint[tuple(slice(None) if c < 0 else slice(c, c + 1) for c in row)]
        assert np.exp(log) == pytest.approx(part.sum())
        part = joint[tuple(slice(None) if c < 0 else slice(c, c + 1) for c in [*row[:-1], -1])]
        by_state = part.sum(axis=tuple(range(last)))
        assert share == pytest.approx(by_state / by_state.sum())


def test_filled_values_are_the_most_probable(shared_data):
    asia = read(shared_data / "asia.bif.gz")
    rows = sample_codes(asia, 40, np.random.default_rng(0))
    holes = rows.copy()
    holes[::2, 3] = holes[::3, 6] = -1
    found = filled(asia, holes)
    assert (found[holes >= 0] == rows[holes >= 0]).all() and (found >= 0).all()
    for before, after in zip(holes, found, strict=True):
        known = {asia.names[v]: asia.variables[v].states[c] for v, c in enumerate(before) if c >= 0}
        for v in np.flatnonzero(before < 0):
            assert after[v] == query(asia, [asia.names[v]], known).argmax()


def test_samples_have_the_network_s_distribution():
    rng = np.random.default_rng(1)
    network = random_network(rng, 4)
    n = 40_000
    codes = sample_codes(network, n, rng)
    joint = joint_table(network)
    counts = np.zeros_like(joint)
    np.add.at(counts, tuple(codes.T), 1)
    # Six standard errors.
    assert (abs(counts / n - joint) < 6 * np.sqrt(joint / n) + 1e-9).all()


def test_an_intervention_is_no_observation(shared_data):
    """Of the rain and the wet grass: what is done to the grass says nothing of the rain."""
    asia = read(shared_data / "asia.bif.gz")
    seen = query(asia, ["smoke"], {"bronc": "yes"})
    done = query(asia.do({"bronc": "yes"}), ["smoke"])
    assert done == pytest.approx([0.5, 0.5]) and seen[0] == pytest.approx(2 / 3, abs=1e-6)
    # Along the arcs an effect remains: by the adjustment formula over the parent of bronc.
    by_formula = sum(
        query(asia, ["dysp"], {"bronc": "yes", "smoke": s}) * p
        for s, p in zip(("yes", "no"), query(asia, ["smoke"]), strict=True)
    )
    assert query(asia.do({"bronc": "yes"}), ["dysp"]) == pytest.approx(by_formula)


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (lambda n: query(n, ["either"], {"lung": "yes", "either": "no"}), "column_twice"),
        (lambda n: query(n, ["xray"], {"lung": "yes", "either": "no"}), "impossible_evidence"),
        (lambda n: JunctionTree(n).beliefs({"lung": "yes", "either": "no"}), "impossible_evidence"),
        (lambda n: most_probable(n, {"lung": "yes", "either": "no"}), "impossible_evidence"),
        (lambda n: query(n, ["smoking"]), "unknown_variable"),
        (lambda n: query(n, ["smoke"], {"lung": "maybe"}), "unknown_state"),
        (lambda n: n.do({"lung": "maybe"}), "unknown_state"),
    ],
)
def test_questions_without_an_answer(shared_data, ask, code):
    asia = read(shared_data / "asia.bif.gz")
    with pytest.raises((ConfigurationError, DataError)) as caught:
        ask(asia)
    assert caught.value.code == code and caught.value.hint


def test_too_large_a_table_is_refused():
    rng = np.random.default_rng(0)
    network = random_network(rng, 3)
    states = tuple(str(i) for i in range(300))
    variables = type(network.variables)(
        tuple(type(network.variables[0])(f"v{i}", states) for i in range(3))
    )
    flat = Network(variables, ((), (), ()), (np.full(300, 1 / 300),) * 3)
    with pytest.raises(DataError, match="27,000,000 cells"):
        query(flat, ["v0", "v1", "v2"])


def test_networks_that_are_none():
    rng = np.random.default_rng(5)
    network = random_network(rng, 4)
    form, flat = network.to_dict(), network.flat_tables()
    again = Network.from_dict(form, flat)
    assert again.parents == network.parents
    assert all((a == b).all() for a, b in zip(again.tables, network.tables, strict=True))
    turned = network.reordered(network.names[::-1])
    assert joint_table(turned) == pytest.approx(joint_table(network).T)
    with pytest.raises(ValueError, match="too few"):
        Network.from_dict(form, flat[:-1])
    with pytest.raises(ValueError, match="too many"):
        Network.from_dict(form, [*flat, 0.5])
    with pytest.raises(ValueError, match="distributions"):
        Network.from_dict(form, flat * 2)
    with pytest.raises(ConfigurationError, match="cycle"):
        Network(network.variables, ((1,), (0,), (), ()), network.tables)
