"""Rules against every split of every itemset, published counts and scipy."""

from __future__ import annotations

import random

import pytest

from sparkml_dist.errors import ConfigurationError, DataError, ResourceError
from sparkml_dist.mining import AssociationRules
from tests.long import cases
from tests.mining.families import (
    all_rules,
    frequent_itemsets,
    itemset_frame,
    least_count,
    read_dat,
    read_mushroom,
)

ITEMS = ["ale", "beer", "chips", "dip", "eggs", "figs"]


def random_baskets(seed: int, n: int = 60) -> list[list[str]]:
    rng = random.Random(seed)
    return [[i for i in ITEMS if rng.random() < 0.6] or ["ale"] for _ in range(n)]


@pytest.fixture(scope="module")
def baskets():
    return random_baskets(1)


@pytest.fixture(scope="module")
def family(baskets):
    return frequent_itemsets(baskets, 5)


@pytest.fixture(scope="module")
def itemsets(spark, family, baskets):
    return itemset_frame(spark, family, len(baskets), "string").persist()


def as_dict(rules) -> dict:
    return {(tuple(r.antecedent), tuple(r.consequent)): r for r in rules.collect()}


@pytest.mark.modes
@pytest.mark.parametrize("partitions", [1, 7])
def test_every_split_of_every_itemset(itemsets, family, baskets, partitions):
    model = AssociationRules(minConfidence=0.6).fit(itemsets.repartition(partitions))
    found = as_dict(model.rules)
    expected = all_rules(family, 0.6)
    assert found.keys() == expected.keys()
    assert {
        key: (r.antecedentCount, r.consequentCount, r["count"]) for key, r in found.items()
    } == expected
    assert model.numBaskets == len(baskets)
    assert model.numCandidates == sum(2 ** len(s) - 2 for s in family)


@pytest.mark.parametrize("most", [1, 2])
def test_consequents_can_be_limited(itemsets, family, most):
    model = AssociationRules(minConfidence=0.0, maxConsequent=most).fit(itemsets)
    expected = {k for k in all_rules(family, 0.0) if len(k[1]) <= most}
    assert as_dict(model.rules).keys() == expected
    assert model.numCandidates == len(expected)


def test_the_anchor_is_the_rarest_item_of_the_antecedent(itemsets, family):
    for rule in AssociationRules(minConfidence=0.6).fit(itemsets).rules.collect():
        assert rule.anchor in rule.antecedent
        assert family[(rule.anchor,)] == min(family[(i,)] for i in rule.antecedent)


@pytest.mark.parametrize(
    ("filters", "holds"),
    [
        ({"lift": (1.05, None)}, lambda r: r.lift >= 1.05),
        (
            {"lift": 1.02, "zhang": (None, 0.3)},
            lambda r: r.lift >= 1.02 and r.zhang <= 0.3,
        ),
    ],
)
def test_filters(itemsets, filters, holds):
    everything = as_dict(AssociationRules(minConfidence=0.5).fit(itemsets).rules)
    chosen = as_dict(AssociationRules(minConfidence=0.5, filters=filters).fit(itemsets).rules)
    assert chosen.keys() == {k for k, r in everything.items() if holds(r)}
    assert 0 < len(chosen) < len(everything)


@pytest.mark.parametrize("least", [0.0, 0.05])
def test_redundant_rules_have_a_more_general_one_as_good(itemsets, family, baskets, least):
    from itertools import chain, combinations

    def generals(x):
        return chain.from_iterable(combinations(x, size) for size in range(len(x)))

    def confidence(x, y):
        both = tuple(sorted((*x, *y)))
        return family[both] / (family[x] if x else len(baskets))

    expected = {
        (x, y)
        for x, y in all_rules(family, 0.5)
        if all(confidence(x, y) - confidence(g, y) > least for g in generals(x))
    }
    model = AssociationRules(minConfidence=0.5, pruneRedundant=True, minImprovement=least)
    assert as_dict(model.fit(itemsets).rules).keys() == expected
    assert expected


@pytest.mark.long
@pytest.mark.parametrize("hypotheses", ["candidates", "rules"])
def test_corrected_p_values(itemsets, hypotheses):
    from scipy.stats import false_discovery_control, hypergeom

    def fit(**params):
        rules = AssociationRules(minConfidence=0.55, hypotheses=hypotheses, **params)
        model = rules.fit(itemsets)
        return model, as_dict(model.rules)

    model, found = fit(correction="benjamini-hochberg")
    n, m = model.numBaskets, model.numCandidates if hypotheses == "candidates" else len(found)
    keys = sorted(found)
    p = [found[k].pValue for k in keys]
    for r in found.values():
        exact = hypergeom.sf(r["count"] - 1, n, r.antecedentCount, r.consequentCount)
        assert r.pValue == pytest.approx(exact, rel=1e-9)
    # Hypotheses beyond the rules have p-values of 1.
    exact = false_discovery_control([*p, *[1.0] * (m - len(p))])[: len(p)]
    assert [found[k].adjustedPValue for k in keys] == pytest.approx(list(exact))
    _, kept = fit(correction="bonferroni", maxPValue=0.9)
    expected = {k: min(1, m * v) for k, v in zip(keys, p) if m * v <= 0.9}
    assert {k: r.adjustedPValue for k, r in kept.items()} == pytest.approx(expected)


def test_a_model_of_itemsets_knows_its_baskets(itemsets, baskets):
    from types import SimpleNamespace

    model = SimpleNamespace(itemsets=itemsets, numBaskets=80, summary={"null_baskets": 20})
    rules = AssociationRules(minConfidence=0.9).fit(model)
    assert rules.numBaskets == 80
    assert {r.representativity for r in rules.rules.collect()} == {0.8}
    model.summary = {"target": "closed"}
    with pytest.raises(DataError, match="not of the closed ones only"):
        AssociationRules().fit(model)


class TestKnownAnswers:
    """Counts of rules of real data: single-item consequents, and all."""

    @pytest.fixture(scope="class")
    def mushroom(self, spark, shared_data):
        baskets = read_mushroom(shared_data)
        family = frequent_itemsets(baskets, least_count(0.3, len(baskets)))
        assert len(family) == 2735
        return itemset_frame(spark, family, len(baskets)).persist()

    @pytest.fixture(scope="class")
    def t10(self, spark, shared_data):
        baskets = read_dat(shared_data / "T10I4D100K.dat")
        family = frequent_itemsets(baskets, least_count(0.005, len(baskets)))
        assert len(family) == 1073
        return itemset_frame(spark, family, len(baskets)).persist()

    @pytest.mark.parametrize(
        ("data", "confidence", "single", "every"),
        cases(
            [
                ("mushroom", 0.8, 9_831, 43_558),
                ("mushroom", 0.9, 8_030, 24_408),
                ("t10", 0.5, 607, 1_145),
                ("t10", 0.8, 524, 924),
            ],
            [("mushroom", 0.9, 8_030, 24_408)],
        ),
    )
    def test_counts(self, spark, request, data, confidence, single, every):
        itemsets = request.getfixturevalue(data)
        for most, expected in [(1, single), (None, every)]:
            model = AssociationRules(minConfidence=confidence, maxConsequent=most).fit(itemsets)
            assert model.rules.count() == expected
            model.unpersist()


@pytest.mark.modes("local-cluster")
def test_rules_of_one_item_are_mllibs(spark, baskets, itemsets):
    from pyspark.ml.fpm import FPGrowth

    frame = spark.createDataFrame([(b,) for b in baskets], "items array<string>")
    peer = FPGrowth(minSupport=5 / len(baskets), minConfidence=0.5).fit(frame).associationRules
    expected = {(tuple(sorted(r.antecedent)), tuple(r.consequent)): r for r in peer.collect()}
    found = as_dict(AssociationRules(minConfidence=0.5, maxConsequent=1).fit(itemsets).rules)
    assert found.keys() == expected.keys()
    for key, rule in expected.items():
        assert found[key].confidence == pytest.approx(rule.confidence)
        assert found[key].lift == pytest.approx(rule.lift)
        assert found[key].support == pytest.approx(rule.support)


class TestBadInput:
    def test_itemsets_without_all_subsets(self, spark):
        partial = itemset_frame(spark, {(1,): 5, (1, 2): 3}, 9)
        with pytest.raises(Exception, match="incomplete_itemsets"):
            AssociationRules(minConfidence=0.1).fit(partial).rules.count()

    def test_an_itemset_that_stands_twice(self, spark):
        rows = [([1], 3, 0.3), ([1], 3, 0.3)]
        frame = spark.createDataFrame(rows, "items array<int>, count long, support double")
        with pytest.raises(DataError, match="twice"):
            AssociationRules().fit(frame)

    @pytest.mark.parametrize("items", [None, [], [1, None]])
    def test_itemsets_that_are_none(self, spark, items):
        frame = spark.createDataFrame(
            [([1], 3, 0.3), (items, 3, 0.3)], "items array<int>, count long, support double"
        )
        with pytest.raises(DataError, match="null, empty or holds a null"):
            AssociationRules().fit(frame)

    def test_no_itemsets(self, itemsets):
        with pytest.raises(DataError, match="no itemsets"):
            AssociationRules().fit(itemsets.limit(0))

    def test_more_baskets_than_there_are(self, itemsets):
        with pytest.raises(DataError, match="no_basket_count"):
            AssociationRules(numBaskets=3).fit(itemsets)

    def test_too_many_itemsets_for_a_task(self, itemsets):
        with pytest.raises(ResourceError, match="index_too_large"):
            AssociationRules(memoryPerTask="64b").fit(itemsets)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"minConfidence": 1.5}, r"minConfidence must be in \[0, 1\]"),
            ({"maxConsequent": 0}, "maxConsequent must be at least 1"),
            ({"filters": {"lyft": (1, None)}}, "Did you mean 'lift'"),
            ({"filters": {"lift": (2, 1)}}, r"must be \(least, most\)"),
            ({"correction": "bonferoni"}, "Did you mean 'bonferroni'"),
            ({"hypotheses": "all"}, "must be one of candidates, rules"),
            ({"maxPValue": 2.0}, r"maxPValue must be in \[0, 1\]"),
            ({"rankBy": "confidance"}, "Did you mean 'confidence'"),
        ],
    )
    def test_params(self, itemsets, params, message):
        with pytest.raises(ConfigurationError, match=message):
            AssociationRules(**params).fit(itemsets)

    def test_columns(self, itemsets):
        with pytest.raises(DataError, match="Did you mean 'items'"):
            AssociationRules(itemsCol="item").fit(itemsets)
        with pytest.raises(DataError, match="must be an array"):
            AssociationRules(itemsCol="count").fit(itemsets)
        with pytest.raises(DataError, match="Set numBaskets"):
            AssociationRules().fit(itemsets.drop("support"))
