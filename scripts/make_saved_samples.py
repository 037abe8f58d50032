"""Write a small sample of everything that can be saved, for later versions to read.

spark-submit --master 'local[2]' scripts/make_saved_samples.py tests/samples/protocol-1

Run once for a protocol, with the version that introduces it: `tests/persistence/test_samples.py`
loads what lies there with every later version, and compares what it says of the rows below. Classes
that have a sample already are left alone (delete its folder to make it anew).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
from pyspark.ml.classification import LogisticRegression as SparkLogisticRegression
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.models.grid_value import GridValue
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.public_names import PUBLIC_NAMES

BUILDER = '''"""A network of a few weights."""


def small(input_shape, n_classes=None, normalization=None):
    import keras

    units, kind = (n_classes or 1), ("softmax" if n_classes else "linear")
    loss = "sparse_categorical_crossentropy" if n_classes else "mse"
    inputs = keras.Input(input_shape)
    network = keras.Model(inputs, keras.layers.Dense(units, activation=kind)(inputs))
    network.compile(optimizer="sgd", loss=loss)
    return network
'''


def table() -> pd.DataFrame:
    """Return the rows that models are fitted on and asked about."""
    x = pd.Series(range(48), dtype="float64")
    return pd.DataFrame(
        {
            "id": x.astype("int64"),
            "x": x % 7 - 3,
            "z": (x * 5) % 11 / 2,
            "kind": ["a" if i % 3 else "b" for i in range(48)],
            "label": ["yes" if i % 7 > 3 else "no" for i in range(48)],
            "number": (x % 7) * 2.0 + x % 2,
        }
    )


#: Columns of a table with dates and texts.
DATED = (
    "*",
    "date_add(date'2026-01-01', cast(id AS int)) AS day",
    "concat('part ', z, ' is ', kind) AS note",
)


#: Columns of a selection of algorithms.
AUTO: dict[str, Any] = {"featuresCols": ["x", "day", "kind", "note"], "textCols": ["note"]}


def baskets() -> list[tuple[int, list[str]]]:
    """Return baskets for the mining of patterns."""
    return [(i, sorted({"abcdef"[i % 6], "abc"[i % 3], "de"[i % 2], "a"})) for i in range(24)]


def samples(spark: Any, home: Path) -> dict[str, Callable[[], Any]]:
    """Return what makes an instance of each class, by its public name."""
    df = spark.createDataFrame(table())
    sets = spark.createDataFrame(baskets(), "id int, items array<string>")
    events = spark.createDataFrame(
        [([["a"], ["b", "c"]],), ([["a", "d"], ["b"]],), ([["a"], ["c"]],)],
        "sequence array<array<string>>",
    )
    builder = home / "small_network.py"
    builder.write_text(BUILDER)
    tree, line = DecisionTreeClassifier(max_depth=2, random_state=0), LogisticRegression()
    two = [("tree", tree), ("line", line)]
    shards: dict[str, Any] = {"numShards": 2, "labelCol": "label"}
    cut: dict[str, Any] = {
        **shards,
        "featuresCols": ["x", "z", "kind"],
        "categoricalCols": ["kind"],
    }
    plain: dict[str, Any] = {**shards, "featuresCols": ["x", "z"]}
    number: dict[str, Any] = {"numShards": 2, "labelCol": "number", "featuresCols": ["x", "z"]}
    stump = DecisionTreeRegressor(max_depth=2, random_state=0)
    points: dict[str, Any] = {"featuresCols": ["x", "z"]}
    silos: dict[str, Any] = {"siloCol": "kind", "featuresCols": ["x", "z"]}
    steps: dict[str, Any] = {"episodeCol": "z", "stepCol": "id", "stateCols": ["x", "kind"]}
    steps |= {"actionCol": "label", "rewardCol": "number", "gaps": "ignore", "numShards": 1}
    decisions: dict[str, Any] = {"stateCols": ["x", "kind"], "actionCol": "label"}
    decisions |= {"rewardCol": "number", "numShards": 1}
    network: dict[str, Any] = {
        "builder": f"{builder}:small",
        "numRanks": 1,
        "epochs": 1,
        "batchSize": 16,
    }

    bagging = sd.BaggingClassifier(estimator=tree, numMembers=2, **cut)
    estimators: dict[str, Any] = {
        "AdaBoostClassifier": sd.AdaBoostClassifier(estimator=tree, numMembers=2, **cut),
        "AdaBoostPLClassifier": sd.AdaBoostPLClassifier(estimator=tree, numMembers=2, **cut),
        "AutoClassifier": sd.AutoClassifier(
            numTrials=2, families=["linear", "extra_trees"], numFolds=2, calibrate=True, **AUTO
        ),
        "AutoRegressor": sd.AutoRegressor(
            numTrials=1, families=["linear"], numFolds=2, labelCol="number", featuresCols=["x", "z"]
        ),
        "BaggingClassifier": bagging,
        "BaggingRegressor": sd.BaggingRegressor(estimator=stump, numMembers=2, **number),
        "BatchQLearning": sd.BatchQLearning(
            discount=0.5, discretizer="tree", unseenValue=0.0, **steps
        ),
        "BayesianNetwork": sd.BayesianNetwork(featuresCols=["x", "kind", "label"], maxParents=2),
        "BayesianNetworkClassifier": sd.BayesianNetworkClassifier(**cut),
        "BlendingClassifier": sd.BlendingClassifier(estimators=two, **plain),
        "CalibratedClassifier": sd.CalibratedClassifier(estimator=bagging, method="temperature"),
        "DBSCAN": sd.DBSCAN(eps=1.0, minPoints=3, **points),
        "DeepEnsembleClassifier": sd.DeepEnsembleClassifier(numMembers=2, **network, **plain),
        "DeepQLearning": sd.DeepQLearning(
            algorithm="bcq", hiddenUnits=[4], numRanks=1, epochs=1, batchSize=16, **steps
        ),
        "DoubleQLearning": sd.DoubleQLearning(**steps),
        "EnsembleSelectionClassifier": sd.EnsembleSelectionClassifier(
            estimators=two, numMembers=2, **plain
        ),
        "FederatedBaggingClassifier": sd.FederatedBaggingClassifier(estimator=tree, **silos),
        "FederatedBaggingRegressor": sd.FederatedBaggingRegressor(
            estimator=stump, **silos, labelCol="number"
        ),
        "FederatedBoostingClassifier": sd.FederatedBoostingClassifier(numMembers=2, **silos),
        "FederatedBoostingRegressor": sd.FederatedBoostingRegressor(
            numMembers=2, **silos, labelCol="number"
        ),
        "FederatedKMeans": sd.FederatedKMeans(k=2, leastRows=1, siloCol="kind", **points),
        "FederatedNaiveBayes": sd.FederatedNaiveBayes(**silos),
        "FederatedClassifier": sd.FederatedClassifier(
            siloCol="kind", rounds=2, strategy="ditto", personalModels=True, **points
        ),
        "FederatedRegressor": sd.FederatedRegressor(
            siloCol="kind",
            rounds=2,
            model="perceptron",
            hiddenUnits=[3],
            labelCol="number",
            **points,
        ),
        "ExpectedSARSA": sd.ExpectedSARSA(epsilon=0.2, **steps),
        "FittedQIteration": sd.FittedQIteration(
            estimator=stump, maxIter=2, validationFraction=0.0, **steps
        ),
        "FourierFeatures": sd.FourierFeatures(numOutputs=4, kernel="matern", **points),
        "FrequentItemsets": sd.FrequentItemsets(minSupport=0.3),
        "GaussianNetwork": sd.GaussianNetwork(featuresCols=["x", "z", "number"]),
        "GaussianProcess": sd.GaussianProcess(numCenters=5, sampleRows=20, **number),
        "GradientBoostingClassifier": sd.GradientBoostingClassifier(
            estimator=stump, numMembers=2, **cut
        ),
        "GradientBoostingRegressor": sd.GradientBoostingRegressor(
            estimator=stump, numMembers=2, **number
        ),
        "GeneralizedLinearModel": sd.GeneralizedLinearModel(family="poisson", **number),
        "HyperparameterSearch": sd.HyperparameterSearch(
            estimator=tree, space={"max_depth": [1, 2]}, sampler="grid", **cut
        ),
        "IVotesClassifier": sd.IVotesClassifier(estimator=tree, numMembers=2, biteSize=12, **cut),
        "IsolationForest": sd.IsolationForest(numMembers=3, seed=1, **points),
        "KMeans": sd.KMeans(k=2, **points),
        "KMedoids": sd.KMedoids(k=2, **points),
        "KernelClassifier": sd.KernelClassifier(numCenters=5, **plain),
        "KernelKMeans": sd.KernelKMeans(k=2, numCenters=5, **points),
        "KernelRidge": sd.KernelRidge(numCenters=6, approximation="fourier", **number),
        "KerasClassifier": sd.KerasClassifier(**network, **plain),
        "KerasEstimator": sd.KerasEstimator(**network, **number),
        "KerasRegressor": sd.KerasRegressor(**network, **number),
        "LinUCB": sd.LinUCB(exploration=0.5, **decisions),
        "LinearThompsonSampling": sd.LinearThompsonSampling(alpha=2.0, **decisions),
        "LinearRegression": sd.LinearRegression(covType="HC3", **number),
        "LocalOutlierFactor": sd.LocalOutlierFactor(numNeighbors=3, **points),
        "LogisticRegression": sd.LogisticRegression(alpha=0.01, **cut),
        "MiniBatchKMeans": sd.MiniBatchKMeans(k=2, **points),
        "NearestNeighbors": sd.NearestNeighbors(numNeighbors=2, keyCol="id", **points),
        "NystroemFeatures": sd.NystroemFeatures(numCenters=4, missing="mean", **points),
        "OffPolicyBandit": sd.OffPolicyBandit(estimator=stump, method="dm", clip=5.0, **decisions),
        "OneClassMachine": sd.OneClassMachine(numCenters=5, maxIter=5, **points),
        "QLearning": sd.QLearning(learningRate=0.5, **steps),
        "RobustZScore": sd.RobustZScore(**points),
        "SARSA": sd.SARSA(**steps),
        "SequentialPatterns": sd.SequentialPatterns(minCount=1, maxLength=2),
        "SpectralClustering": sd.SpectralClustering(k=2, numCenters=5, **points),
        "StackingClassifier": sd.StackingClassifier(
            estimators=[*two, ("spark", SparkLogisticRegression())],
            finalEstimator=line,
            numFolds=2,
            **plain,
        ),
        "StackingRegressor": sd.StackingRegressor(
            estimators=[("tree", stump), ("line", LinearRegression())], numFolds=2, **number
        ),
        "TableFeatures": sd.TableFeatures(
            featuresCols=["x", "day", "kind", "note"], textCols=["note"], numTextFeatures=4
        ),
        "VotingClassifier": sd.VotingClassifier(estimators=two, weights=[1.0, 2.0], **cut),
        "VotingRegressor": sd.VotingRegressor(
            estimators=[("tree", stump), ("line", LinearRegression())], **number
        ),
        "XGBoostClassifier": sd.XGBoostClassifier(numMembers=2, numRanks=1, **cut),
        "XGBoostRegressor": sd.XGBoostRegressor(numMembers=2, numRanks=1, **number),
    }
    fitted: dict[str, Any] = {}

    def fit(name: str) -> Any:
        if name not in fitted:
            rows = {
                "FrequentItemsets": sets,
                "SequentialPatterns": events,
                "AutoClassifier": spark.createDataFrame(table()).selectExpr(*DATED),
                "TableFeatures": spark.createDataFrame(table()).selectExpr(*DATED),
            }.get(name, df)
            fitted[name] = estimators[name].fit(rows)
        return fitted[name]

    def rules() -> Any:
        return sd.AssociationRules(minConfidence=0.4).fit(fit("FrequentItemsets").itemsets)

    made: dict[str, Callable[[], Any]] = {n: partial(estimators.get, n) for n in estimators}
    for name in estimators:
        if (model := _model_of(name)) in PUBLIC_NAMES:
            made[model] = partial(fit, name)
    made["KernelClustersModel"] = lambda: fit("SpectralClustering")
    made["GeneralizedLinearRegressionModel"] = partial(fit, "GeneralizedLinearModel")
    made["CentersModel"] = lambda: fit("KMeans")
    made["DeepPolicyModel"] = partial(fit, "DeepQLearning")
    made["FittedQModel"] = partial(fit, "FittedQIteration")
    made["LinearBanditModel"] = partial(fit, "LinearThompsonSampling")
    made["QTableModel"] = partial(fit, "BatchQLearning")
    made["AssociationRules"] = lambda: sd.AssociationRules(minConfidence=0.4)
    made["AssociationRulesModel"] = rules
    made["GridValue"] = lambda: GridValue(two)
    made["VotedClassificationModel"] = lambda: sd.vote(
        [fit("BaggingClassifier"), fit("AdaBoostClassifier")], weights=[1, 2]
    )
    made["VotedRegressionModel"] = lambda: sd.vote(
        [fit("BaggingRegressor"), fit("GradientBoostingRegressor")]
    )
    return made


def _model_of(name: str) -> str:
    for end, kind in (("Classifier", "ClassificationModel"), ("Regressor", "RegressionModel")):
        if name.endswith(end):
            return name.removesuffix(end) + kind
    return "KerasModel" if name == "KerasEstimator" else f"{name}Model"


def said(instance: Any, spark: Any) -> list[Any]:
    """Return what a model says of the rows, or what an estimator is set to, as JSON values."""
    name = type(instance).__name__
    if name == "GridValue":
        return [repr(instance)]
    if not name.endswith("Model") or name == "GeneralizedLinearModel":
        values = instance.extractParamMap().items()
        return sorted([p.name, str(v).rpartition("/")[2]] for p, v in values)
    if name == "FrequentItemsetsModel":
        rows = instance.itemsets
    elif name == "SequentialPatternsModel":
        rows = instance.patterns
    elif name == "AssociationRulesModel":
        sets = spark.createDataFrame(baskets(), "id int, items array<string>")
        rows = instance.transform(sets)
    else:
        dated = DATED if name in ("TableFeaturesModel", "AutoClassificationModel") else ("*",)
        rows = instance.transform(spark.createDataFrame(table()).selectExpr(*dated))
    given = ("rawPrediction", "day", "note", *table().columns)
    columns = [c for c in rows.columns if c not in given]
    return sorted(
        _plain(row.asDict(recursive=True)) for row in rows.select(*quoted(columns)).collect()
    )


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return [[k, _plain(v)] for k, v in sorted(value.items())]
    if isinstance(value, list | tuple) or hasattr(value, "toArray"):
        return [_plain(v) for v in (value.toArray() if hasattr(value, "toArray") else value)]
    return round(float(value), 5) if isinstance(value, float) else value


def main() -> None:
    """Write the samples that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    home = parser.parse_args().folder.resolve()
    home.mkdir(parents=True, exist_ok=True)
    spark = sd.get_session("samples")
    spark.conf.set("spark.sql.shuffle.partitions", 2)
    for name, make in samples(spark, home).items():
        place = home / name
        if (place / "manifest.json").exists():
            continue
        instance = make()
        assert type(instance).__name__ == name, (type(instance).__name__, name)
        instance.save(str(place))
        expected = said(instance, spark)
        (home / f"{name}.json").write_text(json.dumps(expected) + "\n")
        print(name, sum(f.stat().st_size for f in place.rglob("*") if f.is_file()))
    data = home / "dataset"
    if not (data / "manifest.json").exists():
        frame = spark.createDataFrame(table()).drop("number")
        shards = sd.partition(
            frame, str(data), label="label", key="id", categorical=["kind"], shards=2
        )
        assert Folder.at(data).exists("manifest.json") and shards.n_rows == 48


if __name__ == "__main__":
    main()
