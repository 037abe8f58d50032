"""Exact values of finite decision processes, in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest

from sparkml_dist.errors import SparkMLDistError
from sparkml_dist.reinforcement.policy import EpsilonGreedy, Softmax, UniformPolicy, greedy
from sparkml_dist.reinforcement.tabular.decision_process import DecisionProcess, Groups
from sparkml_dist.reinforcement.tabular.exact_sums import (
    FIRST_EXPONENT,
    joined,
    next_exponent,
    split_values,
)
from sparkml_dist.reinforcement.tabular.iteration import (
    action_values,
    policy_evaluation,
    solve,
    unseen_value,
)
from sparkml_dist.reinforcement.tabular.q_table_model import QTable
from sparkml_dist.reinforcement.tabular.state_table import StateTable
from tests.reinforcement.processes import GAMMA, entries, groups_of, process_of, starts, value_of

# Values of the first state by value iteration on the environments' own tables.
OPTIMAL = {
    "FrozenLake-v1": 0.5420259320,
    "CliffWalking-v1": -12.2478977001,
    "Taxi-v4": 6.3274643149,
}
RANDOM = {
    "FrozenLake-v1": 0.0123561373,
    "CliffWalking-v1": -1072.2360267,
    "Taxi-v4": -384.8040368,
}


def solved(process, discount=GAMMA, method="modified", tol=1e-10, max_iter=100_000, **given):
    values = action_values(process, **{"pessimism": 0.0, "unseen": None, "least": 0.0} | given)
    between = None if discount == 1 else policy_evaluation(process, values, method)
    return solve(values, len(process.table), discount, between=between, tol=tol, max_iter=max_iter)


@pytest.mark.parametrize("name", OPTIMAL)
@pytest.mark.parametrize("method", ["value", "modified", "policy"])
def test_optimal_values_are_those_of_value_iteration(name, method):
    process = process_of(name)
    found = solved(process, method=method)
    start = starts(name)[process.table.states[:, 0].astype(int)]
    assert found.converged
    assert start @ found.v == pytest.approx(OPTIMAL[name], abs=1e-8)
    policy = greedy(found.q)
    assert value_of(name, policy, GAMMA) == pytest.approx(OPTIMAL[name], abs=1e-8)


@pytest.mark.parametrize("name", RANDOM)
def test_values_of_the_random_policy(name):
    process = process_of(name)
    policy = UniformPolicy(tuple(range(process.count.shape[1])))
    chances = policy.probabilities(process.table.states)
    assert value_of(name, chances, GAMMA) == pytest.approx(RANDOM[name], abs=1e-6)


def test_frozen_lake_in_all_its_states():
    found = solved(process_of("FrozenLake-v1"))
    assert found.v.sum() == pytest.approx(6.33981954, abs=1e-8)
    assert found.q[0] == pytest.approx([0.54202593, 0.52776243, 0.52776243, 0.52234217], abs=1e-8)
    table = QTable((0, 1, 2, 3), np.arange(16.0)[:, None], found.q)
    for epsilon, value in ((0.1, 0.3059770002), (0.2, 0.1873535533)):
        policy = EpsilonGreedy(table, epsilon).probabilities(table.states)
        assert value_of("FrozenLake-v1", policy, GAMMA) == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("sweeps", "value"), [(10, 0.03840586), (20, 0.17423639), (50, 0.42511271)]
)
def test_sweeps_of_value_iteration(sweeps, value):
    found = solved(process_of("FrozenLake-v1"), method="value", max_iter=sweeps)
    assert not found.converged
    assert found.v[0] == pytest.approx(value, abs=1e-8)


@pytest.mark.parametrize(("name", "value"), [("CliffWalking-v1", -13.0), ("Taxi-v4", 7.93)])
def test_values_without_discount(name, value):
    process = process_of(name, 1.0)
    assert process.ends().all()
    found = solved(process, 1.0)
    start = starts(name)[process.table.states[:, 0].astype(int)]
    assert start @ found.v == pytest.approx(value, abs=1e-8)


def test_the_order_of_groups_changes_no_bit():
    rng = np.random.default_rng(0)
    rows = [r for r in entries("Taxi-v4") if r[0] < 100]
    shuffled = [rows[i] for i in rng.permutation(len(rows))]
    first, second = (solved(DecisionProcess.of(groups_of(r, GAMMA), 6)).q for r in (rows, shuffled))
    assert np.array_equal(first, second, equal_nan=True)


def two_states(**changes):
    """One action from state 0 to state 1, which nobody leaves."""
    given = {
        "state": np.zeros((1, 1)),
        "action": np.array([0]),
        "next_state": np.ones((1, 1)),
        "terminated": np.array([False]),
        "weight": np.array([4.0]),
        "reward": np.array([-4.0]),
        "discount": np.array([4.0 * GAMMA]),
        "first": np.array([4.0]),
    }
    return DecisionProcess.of(Groups(**given | changes), 2)


def test_a_state_that_is_never_left_is_not_taken_for_an_end():
    process = two_states()
    known, worst = process.known, process.least_reward
    least = unseen_value(known, worst, GAMMA, None)
    assert least == pytest.approx(-1 / (1 - GAMMA))
    found = solved(process, least=least)
    assert found.q[0, 0] == pytest.approx(-1 + GAMMA * least)
    assert np.isnan(found.q[0, 1])
    assert unseen_value(known, worst, GAMMA, 3.0) == 3.0
    with pytest.raises(SparkMLDistError, match=r"\[unseen_states\]"):
        unseen_value(known, worst, 1.0, None)
    ended = two_states(terminated=np.array([True]))
    assert len(ended.table) == 1
    assert solved(ended).q[0, 0] == -1


def test_an_unseen_action_takes_the_value_that_is_given():
    ended = two_states(terminated=np.array([True]))
    assert solved(ended, unseen=5.0).v[0] == 5.0
    # The penalty of four rows is half of that of one.
    assert solved(ended, pessimism=3.0).q[0, 0] == pytest.approx(-1 - 3 / 2)


def test_endless_states_are_found():
    rows = [(0, 0, 1.0, 1, False, 1.0), (1, 0, 1.0, 0, False, 1.0), (2, 0, 0.0, 0, True, 1.0)]
    assert DecisionProcess.of(groups_of(rows, 1.0), 1).ends().tolist() == [False, False, True]


def test_states_are_numbered_in_order():
    rows = np.array([[2.0, 1.0], [0.0, 3.0], [2.0, 0.0], [-0.0, 3.0], [2.0, 1.0]])
    table = StateTable(rows)
    assert table.states.tolist() == [[0, 3], [2, 0], [2, 1]]
    assert table.codes.tolist() == [2, 0, 1, 0, 2]
    assert table.find([[2.0, 1.0], [2.0, 2.0], [0.0, 0.0], [9.0, 9.0]]).tolist() == [2, -1, -1, -1]
    assert StateTable(np.empty((0, 2))).find([[1.0, 2.0]]).tolist() == [-1]


def test_sums_of_split_numbers_have_no_order():
    rng = np.random.default_rng(1)
    values = rng.normal(size=10_000) * 10.0 ** rng.integers(-6, 2, 10_000)
    words = split_values(values, FIRST_EXPONENT)
    exact = joined(*(w.sum() for w in words), FIRST_EXPONENT)
    order = rng.permutation(len(values))
    again = joined(*(w[order].sum() for w in words), FIRST_EXPONENT)
    assert exact == again
    assert exact == pytest.approx(values.sum(), rel=1e-12)
    assert next_exponent(1.0, FIRST_EXPONENT) is None
    for largest in (1e12, 1e-9):
        exponent = next_exponent(largest, FIRST_EXPONENT)
        assert exponent is not None
        assert joined(*split_values(np.array([largest]), exponent), exponent)[0] == largest


def test_softmax_leaves_out_what_is_not_known():
    table = QTable(("a", "b", "c"), np.zeros((1, 1)), np.array([[0.0, np.log(3.0), np.nan]]))
    policy = Softmax(table, 1.0)
    assert policy.probabilities([[0.0]])[0] == pytest.approx([0.25, 0.75, 0.0])
    assert policy.probabilities([[7.0]])[0] == pytest.approx([1 / 3] * 3)
    assert table.act(0.0) == "b"
    assert policy.act(0.0, rng=np.random.default_rng(0)) in ("a", "b")
