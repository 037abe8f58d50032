"""Structure learning: published graphs and scores, an exhaustive search, and limits."""

from itertools import product

import numpy as np
import pandas as pd
import pytest

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.graph import (
    acyclic_order,
    ancestors,
    arcs_of,
    find_cycle,
    model_string,
    parents_of,
)
from sparkml_dist.graphical.inference.sampling import sample_codes
from sparkml_dist.graphical.scores import Score
from sparkml_dist.graphical.structures.arc_limits import ArcLimits
from sparkml_dist.graphical.structures.bayes_classifiers import naive_bayes, tree_augmented
from sparkml_dist.graphical.structures.chow_liu import chow_liu, spanning_tree
from sparkml_dist.graphical.structures.exact_search import exact_search
from sparkml_dist.graphical.structures.family_scores import FamilyScores
from sparkml_dist.graphical.structures.hill_climbing import hill_climbing
from sparkml_dist.graphical.structures.pc_stable import benjamini_hochberg, pc_stable
from tests.graphical.networks import counted, graph_of, read, table_of


def _search(counts, *, most=5, score="bic", white=None, black=None, **settings):
    limits = ArcLimits.of(counts.variables, white, black, most)
    scores = FamilyScores(counts, Score(score, counts.n_rows))
    return hill_climbing(scores, limits, **settings)


def _sampled(network, n=600, seed=0):
    codes = sample_codes(network, n, np.random.default_rng(seed))
    return pd.DataFrame(
        {v.name: np.array(v.states)[codes[:, i]] for i, v in enumerate(network.variables.items)}
    )


@pytest.mark.parametrize(
    ("name", "total"),
    [("learning-test.csv", 0.68634513), ("asia.csv.gz", 0.78065844), ("alarm.csv.gz", 9.1467487)],
)
def test_chow_liu_trees_are_the_published_ones(shared_data, name, total):
    counts = counted(table_of(shared_data / name), 2, blocks=3)
    tree = chow_liu(counts)
    assert abs(sum(tree.weights) - total) < 1e-8 and counts.passes == 1
    if name == "learning-test.csv":
        edges = ["".join(counts.variables.names[v] for v in edge) for edge in tree.edges]
        assert edges == ["AB", "AD", "BE", "EF", "CD"]
    rooted = chow_liu(counts, root=3)
    assert rooted.parents[3] == () and sum(map(len, rooted.parents)) == len(tree.edges)


def test_spanning_trees_are_the_heaviest():
    from scipy.sparse.csgraph import minimum_spanning_tree

    weights = np.triu(np.random.default_rng(1).random((9, 9)), 1)
    found = sum(weights[edge] for edge in spanning_tree(weights + weights.T))
    assert found == pytest.approx(-minimum_spanning_tree(-weights).sum())


@pytest.mark.parametrize(("name", "best"), [("learning-test.csv", -24006.734232),
                                            ("asia.csv.gz", -11107.293309)])  # fmt: skip
def test_searches_find_the_best_graph_of_all(shared_data, name, best):
    counts = counted(table_of(shared_data / name))
    scores = FamilyScores(counts, Score("bic", counts.n_rows))
    graph = exact_search(scores, ArcLimits.of(counts.variables, most_parents=4))
    assert abs(scores.total(graph) - best) < 6e-7
    assert abs(_search(counts, tabu=10, restarts=1).score - best) < 6e-7


def test_hill_climbing_on_alarm(shared_data):
    counts = counted(table_of(shared_data / "alarm.csv.gz"))
    found = _search(counts, tabu=10, restarts=1)
    assert found.score >= -219975.17  # pyAgrum's
    assert counts.passes <= 5
    true = read(shared_data / "alarm.bif.gz")
    assert true.n_parameters == 509


def test_climbing_counts_in_batches_what_it_needs(shared_data):
    """The steps are the same with all counts known beforehand."""
    from itertools import combinations

    from sparkml_dist.graphical.counting.block_counts import Target

    frame = table_of(shared_data / "asia.csv.gz")
    lazy, known = counted(frame), counted(frame)
    known.count(Target(base) for k in (3, 4, 5) for base in combinations(range(8), k))
    first, second = (_search(c, tabu=5, restarts=2) for c in (lazy, known))
    assert first.parents == second.parents and first.steps == second.steps
    assert known.passes == 2 and lazy.passes <= 5


def test_a_small_cap_on_cells_changes_the_passes_only(shared_data):
    frame = table_of(shared_data / "asia.csv.gz")
    wide, narrow = counted(frame), counted(frame)
    narrow.most_cells = 300  # a few bases of three
    first, second = (_search(c, most=3, tabu=5, restarts=1) for c in (wide, narrow))
    assert first.parents == second.parents and first.steps == second.steps
    assert narrow.passes > wide.passes


def test_a_guess_is_the_same_from_whichever_parent():
    """A search would go in circles otherwise."""
    rng = np.random.default_rng(5)
    codes = rng.integers(0, 3, (400, 6))
    codes[:, 5] = (codes[:, 0] + codes[:, 1] * codes[:, 2] + (rng.random(400) < 0.3)) % 3
    frame = pd.DataFrame(codes.astype(str), columns=list("abcdef"))
    for name in ("bic", "k2"):
        counts = counted(frame)
        scores = FamilyScores(counts, Score(name, counts.n_rows))
        guesses = [
            [scores.additions(5, tuple(p for p in parents if p != v))[v] for v in parents]
            for parents in ((0, 1, 2), (0, 1, 2, 3), (0, 1, 3, 4))
        ]
        assert scores.wanted
        for ways in guesses:
            assert ways == pytest.approx([ways[0]] * len(ways), abs=1e-8)
        scores.count_wanted()
        exact = scores.additions(5, (0, 1))[2]
        table = np.zeros((3, 27), np.int64)
        np.add.at(table, (codes[:, 5], codes[:, :3] @ [9, 3, 1]), 1)
        assert not scores.wanted and exact == pytest.approx(scores.score.family(table))


def _all_graphs(size):
    pairs = [(a, b) for a in range(size) for b in range(a + 1, size)]
    for choice in product((0, 1, 2), repeat=len(pairs)):
        arcs = [(a, b) if c == 1 else (b, a) for (a, b), c in zip(pairs, choice, strict=True) if c]
        graph = parents_of(size, arcs)
        if not find_cycle(graph):
            yield graph


@pytest.mark.parametrize("score", ["bic", "k2"])
def test_the_exact_search_agrees_with_trying_all_graphs(score):
    rng = np.random.default_rng(3)
    a = rng.integers(0, 2, 300)
    b, c = (a + (rng.random(300) < 0.2)) % 2, rng.integers(0, 3, 300)
    d = (b * c + (rng.random(300) < 0.1)) % 3
    counts = counted(pd.DataFrame({"a": a, "b": b, "c": c, "d": d}).astype(str))
    scores = FamilyScores(counts, Score(score, 300))
    best = max(scores.total(graph) for graph in _all_graphs(4))
    found = exact_search(scores, ArcLimits.of(counts.variables))
    assert scores.total(found) == pytest.approx(best, rel=1e-12)
    black = [("a", "b"), ("b", "a")]
    limits = ArcLimits.of(counts.variables, [("d", "a")], black, 2)
    allowed = [
        g
        for g in _all_graphs(4)
        if 3 in g[0] and 0 not in g[1] and 1 not in g[0] and max(map(len, g)) <= 2
    ]
    found = exact_search(scores, limits)
    assert scores.total(found) == pytest.approx(max(map(scores.total, allowed)), rel=1e-12)


@pytest.mark.parametrize("settings", [{"test": "x2"}, {"test": "g2", "correction": True}])
def test_pc_finds_the_graph_of_learning_test(shared_data, settings):
    counts = counted(table_of(shared_data / "learning-test.csv"))
    found = pc_stable(counts, ArcLimits.of(counts.variables), **settings)
    names = counts.variables.names
    arcs = {names[a] + names[b] for a, b in found.directed}
    assert arcs == {"AD", "CD", "BE", "FE"} and found.undirected == ((0, 1),)
    graph = graph_of("[A][C][F][B|A][D|A:C][E|B:F]", names)
    score = Score("bic", counts.n_rows)
    assert score.network(counts, found.parents) == pytest.approx(score.network(counts, graph))


def test_pc_does_not_depend_on_the_order_of_columns(shared_data):
    frame = table_of(shared_data / "asia.csv.gz")
    found = set()
    for columns in (list(frame), list(frame)[::-1]):
        counts = counted(frame[columns])
        graph = pc_stable(counts, ArcLimits.of(counts.variables))
        pairs = [*graph.directed, *graph.undirected]
        found.add(frozenset(frozenset(columns[v] for v in pair) for pair in pairs))
    assert len(found) == 1


def test_false_discovery_rates():
    from scipy.stats import false_discovery_control

    p = np.random.default_rng(0).random(50) ** 3
    assert (benjamini_hochberg(p, 0.1) == (false_discovery_control(p) <= 0.1)).all()
    assert not benjamini_hochberg([], 0.1).size


@pytest.mark.parametrize("algorithm", ["climb", "pc"])
def test_lists_and_bounds_are_kept(shared_data, algorithm):
    counts = counted(table_of(shared_data / "learning-test.csv"))
    white, black = [("F", "A"), ("C", "B")], [("A", "B"), ("B", "A"), ("B", "E")]
    if algorithm == "climb":
        found = _search(counts, most=2, white=white, black=black, tabu=3, restarts=6, seed=1)
        assert max(map(len, found.parents)) <= 2
    else:
        found = pc_stable(counts, ArcLimits.of(counts.variables, white, black))
    arcs = {"".join(counts.variables.names[v] for v in arc) for arc in arcs_of(found.parents)}
    assert {"FA", "CB"} <= arcs and not arcs & {"AB", "BA", "BE"}
    acyclic_order(found.parents, counts.variables.names)


def test_structures_around_a_class(shared_data):
    counts = counted(table_of(shared_data / "learning-test.csv"), 1)
    names = counts.variables.names
    assert model_string(naive_bayes(6, 0), names) == "[A][B|A][C|A][D|A][E|A][F|A]"
    graph = tree_augmented(counts, 0)
    assert [len(p) for p in graph] == [0, 1, 2, 2, 2, 2] and all(0 in p for p in graph[1:])
    # No tree among the features has a greater likelihood.
    score = Score("loglik", counts.n_rows)
    best = score.network(counts, graph)
    for edges in ([(1, 2), (2, 3), (3, 4), (4, 5)], [(1, 4), (4, 5), (1, 3), (1, 2)]):
        other = parents_of(6, [*((0, v) for v in range(1, 6)), *edges])
        assert score.network(counts, other) <= best + 1e-9


@pytest.mark.parametrize(
    ("white", "black", "most", "code"),
    [
        ([("A", "B"), ("B", "C"), ("C", "A")], None, None, "cycle"),
        ([("A", "Z")], None, None, "unknown_variable"),
        ([("A", "A")], None, None, "invalid_param"),
        ([("A", "B"), ("C", "B")], None, 1, "invalid_param"),
        ([("A", "B")], [("A", "B")], None, "conflicting_params"),
    ],
)
def test_lists_that_cannot_be_kept(white, black, most, code):
    frame = pd.DataFrame({name: ["0", "1"] for name in "ABC"})
    with pytest.raises(ConfigurationError) as caught:
        ArcLimits.of(counted(frame).variables, white, black, most)
    assert caught.value.code == code
    if code == "cycle":
        assert "A → B → C → A" in caught.value.message


def test_graphs():
    assert find_cycle([[], [0], [1]]) == []
    assert sorted(find_cycle([[2], [0], [1]])) == [0, 1, 2]
    before = ancestors([[], [0], [1], []])
    assert before[0, 2] and before[0, 1] and not before[2, 0] and not before[:, 3].any()
