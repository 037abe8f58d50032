"""What rules recommend for baskets, and the model at rest."""

from __future__ import annotations

import pytest

from sparkml_dist.errors import ConfigurationError, DataError, StorageError
from sparkml_dist.mining import AssociationRules, AssociationRulesModel
from tests.mining.families import frequent_itemsets, itemset_frame
from tests.mining.rules.test_association_rules import ITEMS, random_baskets

QUERIES = [[], None, ["ale"], ["dip", "ale", "ale", None], ["figs", "beer"], ITEMS, ["unknown"]]


@pytest.fixture(scope="module")
def model(spark):
    baskets = random_baskets(1)
    itemsets = itemset_frame(spark, frequent_itemsets(baskets, 5), len(baskets), "string")
    return AssociationRules(minConfidence=0.62).fit(itemsets)


@pytest.fixture(scope="module")
def queries(spark):
    rows = [(number, basket) for number, basket in enumerate([*QUERIES, QUERIES[2]])]
    return spark.createDataFrame(rows, "id int, items array<string>")


def expected(rules, basket, measure="confidence") -> list[str]:
    held = {i for i in basket or [] if i is not None}
    best: dict[str, float] = {}
    for rule in rules:
        if set(rule.antecedent) <= held:
            for item in set(rule.consequent) - held:
                best[item] = max(best.get(item, 0.0), rule[measure])
    return sorted(best, key=lambda item: (-best[item], item))


@pytest.mark.modes
def test_recommendations_are_those_of_trying_every_rule(model, queries):
    rules = model.rules.collect()
    out = model.transform(queries)
    assert out.columns == ["id", "items", "prediction"]
    found = {row.id: row for row in out.collect()}
    assert len(found) == len(QUERIES) + 1
    for row in found.values():
        assert row.prediction == expected(rules, row["items"])
    assert sum(bool(row.prediction) for row in found.values()) >= 4


def test_rules_and_baskets_meet_by_an_item_whatever_their_number(spark, model, queries, mode):
    """Without broadcasts, as where rules are many: no pair of all rules and all baskets."""
    if mode == "connect":
        pytest.skip("plans are those of the classic session")
    known = sorted(model.transform(queries).collect())
    name = "spark.sql.autoBroadcastJoinThreshold"
    before = spark.conf.get(name)
    try:
        spark.conf.set(name, "-1")
        out = model.transform(queries)
        plan = out._jdf.queryExecution().executedPlan().toString()
        assert sorted(out.collect()) == known
    finally:
        spark.conf.set(name, before)
    assert "SortMergeJoin" in plan
    assert not any(bad in plan for bad in ("CartesianProduct", "NestedLoop", "Broadcast"))


def test_order_and_number_of_recommendations(model, queries):
    rules = model.rules.collect()
    chosen = model.copy().setParams(rankBy="lift", maxRecommendations=2, predictionCol="p")
    for row in chosen.transform(queries).collect():
        assert row.p == expected(rules, row["items"], "lift")[:2]


def test_an_older_prediction_is_replaced(model, queries):
    twice = model.transform(model.transform(queries))
    assert twice.columns == ["id", "items", "prediction"]


def test_baskets_of_another_type(spark, model):
    numbers = spark.createDataFrame([([1, 2],)], "items array<int>")
    with pytest.raises(DataError, match="must be array<string>"):
        model.transform(numbers)
    with pytest.raises(DataError, match="Did you mean 'item'"):
        model.transform(numbers.withColumnRenamed("items", "item"))
    with pytest.raises(ConfigurationError, match="Did you mean 'lift'"):
        model.copy({model.rankBy: "lifd"}).transform(numbers)


@pytest.mark.modes("connect")
def test_a_saved_model_is_the_same(model, queries, tmp_path):
    path = str(tmp_path / "rules")
    model.save(path)
    loaded = AssociationRulesModel.load(path)
    assert loaded.uid == model.uid
    assert (loaded.numBaskets, loaded.numCandidates) == (model.numBaskets, model.numCandidates)
    key = ["antecedent", "consequent"]
    assert loaded.rules.orderBy(key).collect() == model.rules.orderBy(key).collect()
    assert sorted(loaded.transform(queries).collect()) == sorted(model.transform(queries).collect())


def test_damage_is_told(model, tmp_path):
    path = tmp_path / "rules"
    model.save(str(path))
    with pytest.raises(StorageError, match="output_exists"):
        model.save(str(path))
    part = next((path / "rules").glob("part-*.parquet"))
    content = part.read_bytes()
    middle = len(content) // 2
    part.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    with pytest.raises(StorageError, match="does not match its manifest"):
        AssociationRulesModel.load(str(path))
    part.unlink()
    with pytest.raises(StorageError, match="is missing"):
        AssociationRulesModel.load(str(path))
    with pytest.raises(StorageError, match="no saved model"):
        AssociationRulesModel.load(str(tmp_path / "nothing"))


def test_a_saved_estimator_is_the_same(tmp_path):
    path = str(tmp_path / "estimator")
    rules = AssociationRules(minConfidence=0.7, filters={"lift": (1.2, None)}, maxConsequent=2)
    rules.save(path)
    loaded = AssociationRules.load(path)
    assert loaded.getFilters() == {"lift": [1.2, None]}
    assert loaded.getMinConfidence() == 0.7
    assert loaded.getMaxConsequent() == 2
