"""One small case of every public estimator: what it is fitted on, and what it must refuse."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pandas as pd
from pyspark.ml.param import Params
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

import sparkml_dist as sd
from sparkml_dist.public_names import PUBLIC_NAMES

#: Public classes with Params, by name.
PUBLIC = {
    name: found
    for name in PUBLIC_NAMES
    if inspect.isclass(found := getattr(sd, name)) and issubclass(found, Params)
}

BUILDER = """
def small(input_shape, n_classes=None):
    import keras

    kind, loss = ("softmax", "sparse_categorical_crossentropy") if n_classes else ("linear", "mse")
    inputs = keras.Input(input_shape)
    network = keras.Model(inputs, keras.layers.Dense(n_classes or 1, activation=kind)(inputs))
    network.compile(optimizer="sgd", loss=loss)
    return network
"""


@dataclass(frozen=True)
class Case:
    """How one estimator is tried.

    Attributes
    ----------
    settings : dict
        Of the constructor.
    model : str
        Public name of what it fits.
    wrong_value, wrong_column : (str, value)
        A Param, and what `fit` refuses it to be.
    grid : (str, list)
        A Param, and two values for it.
    rows : str
        Which of the frames it is fitted on.
    scored_by : {"", "classes", "numbers", "clusters", "outliers"}
        Which of PySpark's evaluators its predictions are for.
    """

    settings: dict[str, Any]
    model: str
    wrong_value: tuple[str, Any]
    wrong_column: tuple[str, Any]
    grid: tuple[str, list[Any]]
    rows: str = "table"
    scored_by: str = ""
    group: str = "ensemble"

    @property
    def output(self) -> str:
        """The column that is compared."""
        named = {
            "FourierFeaturesModel": "kernelFeatures",
            "NearestNeighborsModel": "neighbors",
            "NystroemFeaturesModel": "kernelFeatures",
            "TableFeaturesModel": "note_words",
        }
        named |= dict.fromkeys(("BayesianNetworkModel", "GaussianNetworkModel"), "logLikelihood")
        other = named.get(self.model, "prediction")
        if self.group == "reinforcement":
            return "actionProbability"
        return "outlierScore" if self.scored_by == "outliers" else other


def table() -> pd.DataFrame:
    x = pd.Series(range(48), dtype="float64")
    return pd.DataFrame(
        {
            "id": x.astype("int64"),
            "x": x % 7 - 3 + 9 * (x % 2),
            "z": (x * 5) % 11 / 2,
            "label": (x % 7 > 3).astype("float64"),
            "number": (x % 7) * 2.0 + x % 2,
            "w": 1 + x % 3,
        }
    )


def frames(spark: Any) -> dict[str, Any]:
    """Return what cases are fitted on."""
    from pyspark.ml.feature import VectorAssembler

    rows = spark.createDataFrame(table()).repartition(1)
    baskets = [(i, sorted({"abcdef"[i % 6], "abc"[i % 3], "de"[i % 2], "a"})) for i in range(24)]
    events = [([["a"], ["b", "c"]],), ([["a", "d"], ["b"]],), ([["a"], ["c"]],)]
    notes = [
        (f"2026-01-{i + 1:02d}", f"part {i % 5} is {'ok' if i % 2 else 'worn'}", i % 2)
        for i in range(24)
    ]
    itemsets = [(["a"], 24), (["b"], 8), (["a", "b"], 8), (["c"], 8), (["a", "c"], 8)]
    return {
        "table": VectorAssembler(inputCols=["x", "z"], outputCol="point").transform(rows),
        "baskets": spark.createDataFrame(baskets, "id long, items array<string>"),
        "events": spark.createDataFrame(events, "sequence array<array<string>>"),
        "notes": spark.createDataFrame(notes, "day string, note string, label int").selectExpr(
            "cast(day AS date) AS day", "note", "label"
        ),
        "steps": spark.createDataFrame(
            [(i // 6, i % 6, float(i % 3), i % 2, float(i % 5), i % 6 == 5) for i in range(24)],
            "run int, t int, x double, act int, gain double, over boolean",
        ),
        "itemsets": spark.createDataFrame(
            [(items, n, n / 24) for items, n in itemsets],
            "items array<string>, count long, support double",
        ),
    }


def _cases() -> dict[str, Case]:
    tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    stump, line = DecisionTreeRegressor(max_depth=2, random_state=0), LinearRegression()
    two = {"estimators": [("tree", tree), ("line", LogisticRegression())]}
    both = {"estimators": [("tree", stump), ("line", line)]}
    data = {"numShards": 2, "featuresCols": ["x", "z"]}
    number = {**data, "labelCol": "number"}
    points = {"featuresCols": ["x", "z"]}
    network = {"numRanks": 1, "epochs": 1, "batchSize": 16}
    no_label, no_point = ("labelCol", "lable"), ("featuresCols", ["x", "y"])
    few, seeds = ("numMembers", 0), ("seed", [1, 2])

    def classes(name: str, model: str = "", wrong: Any = few, **settings: Any) -> Case:
        model = model or f"{name}ClassificationModel"
        return Case({**data, **settings}, model, wrong, no_label, seeds, scored_by="classes")

    def numbers(name: str, wrong: Any = few, **settings: Any) -> Case:
        model = f"{name}RegressionModel"
        return Case({**number, **settings}, model, wrong, no_label, seeds, scored_by="numbers")

    def clusters(wrong: Any, grid: Any, model: str = "CentersModel", **settings: Any) -> Case:
        given = {**points, **settings}
        return Case(given, model, wrong, no_point, grid, scored_by="clusters", group="mining")

    def outliers(model: str, wrong: Any, grid: Any, **settings: Any) -> Case:
        given = {**points, **settings}
        return Case(given, model, wrong, no_point, grid, scored_by="outliers", group="mining")

    def patterns(model: str, rows: str, wrong: Any, column: Any, grid: Any, **given: Any) -> Case:
        return Case(given, model, wrong, column, grid, rows=rows, group="mining")

    def networks(model: str, kind: str, **settings: Any) -> Case:
        given = {**data, **network, **settings}
        wrong = ("epochs", 0)
        return Case(given, model, wrong, no_label, seeds, scored_by=kind, group="networks")

    def boosted(model: str, kind: str, **settings: Any) -> Case:
        given = {**data, "numRanks": 1, "numMembers": 2, **settings}
        return Case(given, model, few, no_label, seeds, scored_by=kind, group="boosting")

    def machines(model: str, kind: str, **settings: Any) -> Case:
        given = {**data, "numCenters": 6, **settings}
        wrong = ("numCenters", 0)
        return Case(given, model, wrong, no_label, seeds, scored_by=kind, group="kernels")

    def features(name: str, wrong: Any, **settings: Any) -> Case:
        given = {**points, **settings}
        return Case(given, f"{name}Model", wrong, no_point, seeds, group="kernels")

    def kernel_clusters() -> Case:
        given = {**points, "k": 2, "numCenters": 10}
        case = ("KernelClustersModel", ("k", 0), no_point, ("k", [2, 3]))
        return Case(given, *case, scored_by="clusters", group="kernels")

    def policies(model: str, **settings: Any) -> Case:
        log = {"episodeCol": "run", "stepCol": "t", "stateCols": ["x"], "actionCol": "act"}
        log |= {"rewardCol": "gain", "terminatedCol": "over", "numShards": 1}
        wrong = ("discount", 1.5), ("rewardCol", "gian")
        return Case({**log, **settings}, model, *wrong, seeds, rows="steps", group="reinforcement")

    def bandits(model: str, wrong: Any, **settings: Any) -> Case:
        log = {"stateCols": ["x"], "actionCol": "act", "rewardCol": "gain", "numShards": 1}
        typo = ("rewardCol", "gian")
        given = {**log, **settings}
        return Case(given, model, wrong, typo, seeds, rows="steps", group="reinforcement")

    def linear(model: str, kind: str, **settings: Any) -> Case:
        given = {**data, "form": "jobs", **settings}
        wrong, grid = ("alpha", -1.0), ("alpha", [0.1, 0.2])
        return Case(given, model, wrong, no_label, grid, scored_by=kind, group="linear")

    # Every row is in a silo: the columns of numbers are few enough to name them.
    silos = {"siloCol": "w", "featuresCols": ["x", "z"]}

    def federated(model: str, kind: str, wrong: Any = few, **settings: Any) -> Case:
        given = {**silos, **settings}
        return Case(given, model, wrong, no_label, seeds, scored_by=kind, group="federated")

    votes, means = "VotingClassificationModel", "VotingRegressionModel"
    no_rounds = ("rounds", 0)
    few_rounds = {"numMembers": 2, "maxDepth": 2}
    k_means = {"wrong": ("k", 0), "grid": ("k", [2, 3])}
    return {
        "AdaBoostClassifier": classes("AdaBoost", estimator=tree, numMembers=2),
        "AdaBoostPLClassifier": classes("AdaBoostPL", estimator=tree, numMembers=2),
        "AssociationRules": patterns(
            "AssociationRulesModel",
            "itemsets",
            ("minConfidence", 2.0),
            ("itemsCol", "itemss"),
            ("minConfidence", [0.2, 0.3]),
            minConfidence=0.3,
        ),
        "AutoClassifier": classes(
            "Auto", wrong=("numTrials", 0), numTrials=2, families=["linear"], numFolds=2
        ),
        "AutoRegressor": numbers(
            "Auto", wrong=("numTrials", 0), numTrials=2, families=["linear"], numFolds=2
        ),
        "BaggingClassifier": classes("Bagging", estimator=tree, numMembers=2),
        "BaggingRegressor": numbers("Bagging", estimator=stump, numMembers=2),
        "BatchQLearning": policies("QTableModel", discretizer="quantile"),
        "BayesianNetwork": Case(
            {"featuresCols": ["x", "z", "label"]},
            "BayesianNetworkModel",
            ("maxParents", 0),
            no_point,
            ("score", ["bic", "aic"]),
            group="graphical",
        ),
        "BayesianNetworkClassifier": classes("BayesianNetwork", wrong=("maxParents", 0)),
        "BlendingClassifier": classes("Blending", wrong=("validationFraction", 1.0), **two),
        "CalibratedClassifier": Case(
            {"estimator": sd.BaggingClassifier(estimator=tree, numMembers=2, **data)},
            "CalibratedClassificationModel",
            ("validationFraction", 1.0),
            ("weightCol", "weihgt"),
            ("method", ["temperature", "sigmoid"]),
            scored_by="classes",
        ),
        "DBSCAN": clusters(("eps", -1.0), ("eps", [1.5, 2.0]), "DBSCANModel", eps=1.5, minPoints=3),
        "DoubleQLearning": policies("QTableModel"),
        "DeepEnsembleClassifier": networks(
            "DeepEnsembleClassificationModel", "classes", numMembers=1
        ),
        "DeepQLearning": policies(
            "DeepPolicyModel", numRanks=1, epochs=1, batchSize=16, hiddenUnits=[4]
        ),
        "EnsembleSelectionClassifier": classes(
            "Selection", "VotingClassificationModel", numMembers=2, **two
        ),
        "FederatedBaggingClassifier": federated(votes, "classes", estimator=tree),
        "FederatedBaggingRegressor": federated(
            means, "numbers", estimator=stump, labelCol="number"
        ),
        "FederatedBoostingClassifier": federated(
            "XGBoostClassificationModel", "classes", **few_rounds
        ),
        "FederatedBoostingRegressor": federated(
            "XGBoostRegressionModel", "numbers", labelCol="number", **few_rounds
        ),
        "FederatedKMeans": Case(
            {**silos, "k": 2, "leastRows": 1},
            "CentersModel",
            ("k", 0),
            ("siloCol", "sillo"),
            ("k", [2, 3]),
            scored_by="clusters",
            group="federated",
        ),
        "FederatedNaiveBayes": federated(votes, "classes", ("alpha", -1.0)),
        "FederatedClassifier": federated(
            "FederatedClassificationModel", "classes", no_rounds, rounds=2
        ),
        "FederatedRegressor": federated(
            "FederatedRegressionModel", "numbers", no_rounds, rounds=2, labelCol="number"
        ),
        "ExpectedSARSA": policies("QTableModel"),
        "FittedQIteration": policies(
            "FittedQModel", estimator=stump, maxIter=2, validationFraction=0.0
        ),
        "FourierFeatures": features("FourierFeatures", ("numOutputs", 3), numOutputs=4),
        "FrequentItemsets": patterns(
            "FrequentItemsetsModel",
            "baskets",
            ("minSupport", 2.0),
            ("itemsCol", "itemss"),
            ("minSupport", [0.3, 0.5]),
        ),
        "GaussianNetwork": Case(
            {"featuresCols": ["x", "z", "number"]},
            "GaussianNetworkModel",
            ("maxParents", 0),
            no_point,
            ("score", ["bic", "aic"]),
            group="graphical",
        ),
        "GaussianProcess": machines("GaussianProcessModel", "numbers", labelCol="number"),
        "GeneralizedLinearModel": linear(
            "GeneralizedLinearRegressionModel", "numbers", labelCol="number"
        ),
        "GradientBoostingClassifier": classes("GradientBoosting", estimator=stump, numMembers=2),
        "GradientBoostingRegressor": numbers("GradientBoosting", estimator=stump, numMembers=2),
        "HyperparameterSearch": classes(
            "Hyperparameter",
            "HyperparameterSearchModel",
            wrong=("numTrials", 0),
            estimator=tree,
            space={"max_depth": [1, 2]},
            sampler="grid",
        ),
        "IVotesClassifier": classes("IVotes", estimator=tree, numMembers=2, biteSize=12),
        "IsolationForest": outliers(
            "IsolationForestModel", ("maxSamples", 1), seeds, numMembers=3, seed=1
        ),
        "KMeans": clusters(k=2, **k_means),
        "KMedoids": clusters(k=2, **k_means),
        "KernelClassifier": machines("KernelClassificationModel", "classes"),
        "KernelKMeans": kernel_clusters(),
        "KernelRidge": machines("KernelRidgeModel", "numbers", labelCol="number"),
        "KerasClassifier": networks("KerasClassificationModel", "classes"),
        "KerasEstimator": networks("KerasModel", "numbers", labelCol="number"),
        "KerasRegressor": networks("KerasRegressionModel", "numbers", labelCol="number"),
        "LinearRegression": linear("LinearRegressionModel", "numbers", labelCol="number"),
        "LinUCB": bandits("LinearBanditModel", ("alpha", 0.0)),
        "LinearThompsonSampling": bandits("LinearBanditModel", ("exploration", -1.0)),
        "LocalOutlierFactor": outliers(
            "LocalOutlierFactorModel", ("numNeighbors", 0), ("numNeighbors", [3, 4]), numNeighbors=3
        ),
        "LogisticRegression": linear("LogisticRegressionModel", "classes"),
        "MiniBatchKMeans": clusters(k=2, **k_means),
        "NearestNeighbors": Case(
            {**points, "numNeighbors": 2},
            "NearestNeighborsModel",
            ("numNeighbors", 0),
            no_point,
            ("numNeighbors", [1, 2]),
            group="mining",
        ),
        "NystroemFeatures": features("NystroemFeatures", ("numCenters", 0), numCenters=5),
        "OffPolicyBandit": bandits(
            "FittedQModel", ("method", "mips"), estimator=stump, method="dm"
        ),
        "OneClassMachine": Case(
            {**points, "numCenters": 8},
            "OneClassMachineModel",
            ("contamination", 0.9),
            no_point,
            ("contamination", [0.1, 0.2]),
            scored_by="outliers",
            group="kernels",
        ),
        "QLearning": policies("QTableModel"),
        "RobustZScore": outliers(
            "RobustZScoreModel", ("contamination", 2.0), ("contamination", [0.1, 0.2])
        ),
        "SARSA": policies("QTableModel"),
        "SequentialPatterns": patterns(
            "SequentialPatternsModel",
            "events",
            ("maxLength", 0),
            ("sequenceCol", "sequense"),
            ("minCount", [1, 2]),
            minCount=1,
            maxLength=2,
        ),
        "SpectralClustering": kernel_clusters(),
        "StackingClassifier": classes("Stacking", wrong=("numFolds", 1), numFolds=2, **two),
        "StackingRegressor": numbers("Stacking", wrong=("numFolds", 1), numFolds=2, **both),
        "TableFeatures": Case(
            {"textCols": ["note"], "numTextFeatures": 4},
            "TableFeaturesModel",
            ("numTextFeatures", 0),
            no_label,
            ("maxWords", [1, 2]),
            rows="notes",
            group="automl",
        ),
        "VotingClassifier": classes("Voting", wrong=("weights", [1.0]), **two),
        "VotingRegressor": numbers("Voting", wrong=("weights", [1.0]), **both),
        "XGBoostClassifier": boosted("XGBoostClassificationModel", "classes"),
        "XGBoostRegressor": boosted("XGBoostRegressionModel", "numbers", labelCol="number"),
    }


CASES = _cases()
#: Models that no estimator fits, by the estimators whose models they are made of.
VOTED = {
    "VotedClassificationModel": ("BaggingClassifier", "AdaBoostClassifier"),
    "VotedRegressionModel": ("BaggingRegressor", "GradientBoostingRegressor"),
}


def estimator(name: str, builder: str = "small") -> Any:
    """Return the estimator of a case.

    Parameters
    ----------
    name : str
        Public name.
    builder : str
        ``FILE.py:FUNCTION`` of a small network.
    """
    case = CASES[name]
    given: dict[str, Any] = {"builder": builder} if case.group == "networks" else {}
    make: Callable[..., Any] = PUBLIC[name]
    return make(**case.settings, **given)
