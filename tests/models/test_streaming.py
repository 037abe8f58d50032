"""Every model's `transform` on a structured stream: files come in, scores go out, as in a batch."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pyspark.ml.base import Model

import sparkml_dist as sd
from scripts.make_saved_samples import DATED, baskets, table
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import DataError
from tests.long import cases

SAMPLES = Path(__file__).resolve().parents[1] / "samples" / "protocol-1"
FITTED = {
    p.stem
    for p in SAMPLES.glob("*.json")
    if issubclass(kind := getattr(sd, p.stem), Model) and kind is not sd.GeneralizedLinearModel
}
#: They compare each row with a table of patterns: a join and a sum, which no open stream has.
PATTERNS = {"AssociationRulesModel", "FrequentItemsetsModel", "SequentialPatternsModel"}
#: Workers import TensorFlow.
NETWORKS = {n for n in FITTED if n.startswith(("Keras", "DeepEnsemble"))}
#: One that shuffles rows, which no other model does, and one as most are.
FEW = {"DBSCANModel", "BaggingClassificationModel"}
DATES = {"TableFeaturesModel", "AutoClassificationModel"}


@pytest.fixture(scope="module")
def files(spark, tmp_path_factory):
    home = str(tmp_path_factory.mktemp("arriving") / "rows")
    spark.createDataFrame(table()).repartition(2).write.parquet(home)
    return home


def scores(rows, names):
    """Return the key and the new columns of each model's rows as JSON, in one DataFrame."""
    from pyspark.ml.functions import vector_to_array
    from pyspark.sql import functions as F

    branches = []
    for name in names:
        given = rows.selectExpr(*DATED) if name in DATES else rows
        scored = sd.load_model(str(SAMPLES / name)).transform(given)
        kinds = dict(scored.dtypes)
        added = [c for c in scored.columns if c not in given.columns]
        assert added and scored.isStreaming == rows.isStreaming, name
        values = [
            vector_to_array(F.col(c)).alias(c) if kinds[c] == "vector" else F.col(*quoted([c]))
            for c in added
        ]
        said = F.to_json(F.struct("id", *values))
        branches.append(scored.select(F.lit(name).alias("model"), said.alias("said")))
    united = branches[0]
    for branch in branches[1:]:
        united = united.union(branch)
    return united


@pytest.mark.parametrize(
    "names",
    [
        pytest.param(FEW, id="few"),
        pytest.param(FITTED - FEW - PATTERNS - NETWORKS, id="others", marks=pytest.mark.long),
        pytest.param(NETWORKS, id="networks", marks=pytest.mark.long),
    ],
)
def test_a_stream_is_scored_as_a_batch_is(spark, files, tmp_path, names):
    names = sorted(names)
    batch = spark.read.parquet(files)
    arriving = spark.readStream.schema(batch.schema).option("maxFilesPerTrigger", 1).parquet(files)
    out = str(tmp_path / "out")
    query = (
        scores(arriving, names)
        .writeStream.format("parquet")
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .start(out)
    )
    assert query.awaitTermination(600)

    def by_model(df):
        return sorted((r.model, json.dumps(json.loads(r.said))) for r in df.collect())

    found, expected = by_model(spark.read.parquet(out)), by_model(scores(batch, names))
    assert len(found) == len(names) * batch.count()
    assert found == expected


@pytest.mark.parametrize("name", cases(sorted(PATTERNS), ["FrequentItemsetsModel"]))
def test_models_of_patterns_are_for_batches(spark, tmp_path, name):
    """They refuse a stream at once, and score its batches one by one."""
    events = [([["a"], ["b", "c"]],), ([["a", "d"], ["b"]],), ([["a"], ["c"]],)]
    rows = (
        spark.createDataFrame(events, "sequence array<array<string>>")
        if name == "SequentialPatternsModel"
        else spark.createDataFrame(baskets(), "id int, items array<string>")
    )
    source, out = str(tmp_path / "in"), str(tmp_path / "out")
    rows.coalesce(1).write.parquet(source)
    arriving = spark.readStream.schema(rows.schema).parquet(source)
    model = sd.load_model(str(SAMPLES / name))
    with pytest.raises(DataError) as caught:
        model.transform(arriving)
    assert caught.value.code == "stream_not_supported" and "foreachBatch" in caught.value.hint
    query = (
        arriving.writeStream.foreachBatch(
            lambda batch, _: model.transform(batch).write.mode("append").parquet(out)
        )
        .option("checkpointLocation", str(tmp_path / "checkpoint"))
        .trigger(availableNow=True)
        .start()
    )
    assert query.awaitTermination(300)
    found, expected = (
        df.toPandas().sort_values("id" if "id" in df.columns else "prediction", ignore_index=True)
        for df in (spark.read.parquet(out), model.transform(rows))
    )
    if name == "AssociationRulesModel":
        assert [*found.prediction.map(list)] == [*expected.prediction.map(list)]
    else:  # a sum, in any order
        assert found.prediction.to_numpy() == pytest.approx(expected.prediction.to_numpy())
    assert len(found) == rows.count()


@pytest.mark.long
def test_a_pipeline_scores_a_stream(spark, files, tmp_path):
    from pyspark.ml import PipelineModel
    from pyspark.ml.feature import VectorAssembler

    tree = sd.load_model(str(SAMPLES / "BaggingClassificationModel"))
    stages = [VectorAssembler(inputCols=["x", "z"], outputCol="point"), tree]
    whole = PipelineModel(stages)
    batch = spark.read.parquet(files)
    arriving = spark.readStream.schema(batch.schema).parquet(files)
    query = (
        whole.transform(arriving)
        .select("id", "prediction")
        .writeStream.format("memory")
        .queryName("scored")
        .trigger(availableNow=True)
        .start()
    )
    assert query.awaitTermination(300)
    found = spark.table("scored").toPandas().set_index("id").prediction
    expected = whole.transform(batch).toPandas().set_index("id").prediction
    assert found.sort_index().equals(expected.sort_index())
