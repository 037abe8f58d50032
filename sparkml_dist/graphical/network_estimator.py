"""A PySpark estimator of Bayesian networks of categorical variables."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasSeed

from sparkml_dist.dataset.partitioned import PartitionedDataset
from sparkml_dist.graphical.counting.frame_rows import chosen_columns
from sparkml_dist.graphical.counting.shard_rows import ShardRows, check_categorical
from sparkml_dist.graphical.learning import FitPlan, LearnedNetwork
from sparkml_dist.graphical.learning_in_task import learn_from_frame, learn_from_shards
from sparkml_dist.graphical.network_model import BayesianNetworkModel
from sparkml_dist.graphical.structure_params import HasStructure
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import constructor, param
from sparkml_dist.session import get_session

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["BayesianNetwork"]


class BayesianNetwork(SavedParams, HasStructure, HasSeed):
    """Learns a Bayesian network of categorical variables: the graph, and its probabilities.

    Rows are counted on the executors. Few rows are brought to one task, which searches where they
    are (see `form`); of more, one pass counts all families of up to three variables, and larger
    ones follow in batches. The counts are exact, so that graph, score and probabilities do not
    depend on how the rows are partitioned.

    Parameters
    ----------
    featuresCols : list of str, optional
        Columns, by name or glob, of strings, numbers or booleans; all by default. Each distinct
        value is a state.
    targetCol : str, optional
        The class, for ``"naive-bayes"`` and ``"tan"``; the root of a ``"chow-liu"`` tree.
    structure : str, default="hill-climbing"
        ``"chow-liu"``: the tree of the greatest likelihood. ``"naive-bayes"``: the class is the one
        parent of all. ``"tan"``: that, and a tree among the features. ``"hill-climbing"``: greedy
        search by single arcs, and by orders of the variables. ``"exact"``: the best graph of all,
        for at most 20 variables. ``"pc"``: by tests of independence (PC-stable). ``"fixed"``: the
        arcs of `whiteList`.
    score : str, default="bic"
        ``"bic"``, ``"aic"``, ``"bdeu"``, ``"k2"`` or ``"loglik"``, in natural logarithms: larger is
        better.
    equivalentSampleSize : float, default=10
        Of BDeu, and of the Dirichlet prior of Bayesian estimation.
    maxParents : int, default=5
        Most parents of a variable; for ``"pc"`` most variables that a test conditions on.
    tabuLength : int, default=10
        Graphs that hill climbing does not visit again; 0 ends it at the first maximum.
    numRestarts : int, default=1
        Searches over orders of the variables, each followed by another climb.
    whiteList, blackList : list of pairs of str, optional
        Arcs, from parent to child, that the graph must, and must not, have.
    test : str, default="x2"
        For ``"pc"``: Pearson's ``"x2"``, the likelihood ratio ``"g2"``, or ``"mi"``.
    alpha : float, default=0.05
        Level of a test, or false discovery rate.
    correction : str, default="none"
        ``"benjamini-hochberg"`` bounds the false discovery rate over all edges.
    estimation : str, default="bayesian"
        ``"bayesian"``: with a Dirichlet prior that shares `equivalentSampleSize` out evenly among
        the cells of a family. ``"maximum-likelihood"``: shares of counts; uniform for states of the
        parents that were not seen.
    handleInvalid : str, default="error"
        Missing values: ``"error"``; ``"skip"`` leaves such rows out; ``"em"`` learns the graph from
        complete rows, and the probabilities from all rows by expectation and maximization.
    maxIter, tol : int, float
        Of EM: most steps, and the least rise of the log-likelihood, as a share of itself.
    numBootstraps : int, default=0
        Bootstrap samples from which the graph is learned again, for the strengths of its arcs.
    form : str, default="auto"
        Where rows are counted: ``"jobs"`` runs a Spark job for each pass over the rows. In a
        ``"task"``, one job brings the rows to one task, in a byte or two for each value and equal
        rows once, and the whole search runs there. By default the latter where they take at most
        64 MiB. The network is the same.
    logLikelihoodCol : str, default="logLikelihood"
        Column that the model adds.
    seed : int, default=0

    References
    ----------
    Koller, Friedman (2009), "Probabilistic graphical models", MIT Press.

    Examples
    --------
    >>> rain = [("wet", "rain"), ("wet", "rain"), ("dry", "sun"), ("dry", "sun"), ("wet", "sun")]
    >>> table = spark.createDataFrame(rain * 8, "grass string, sky string")
    >>> model = BayesianNetwork().fit(table)
    >>> model.arcs
    [('grass', 'sky')]
    >>> round(float(model.query(["sky"], {"grass": "dry"})[1]), 2)
    0.88
    """

    logLikelihoodCol: Any = param(
        "logLikelihoodCol",
        "column for the logarithm of the probability of a row's observed values",
        TypeConverters.toString,
    )

    @constructor
    def __init__(
        self,
        *,
        featuresCols: Sequence[str] | None = None,
        targetCol: str | None = None,
        structure: str = "hill-climbing",
        score: str = "bic",
        equivalentSampleSize: float = 10.0,
        maxParents: int = 5,
        tabuLength: int = 10,
        numRestarts: int = 1,
        whiteList: Sequence[Sequence[str]] | None = None,
        blackList: Sequence[Sequence[str]] | None = None,
        test: str = "x2",
        alpha: float = 0.05,
        correction: str = "none",
        estimation: str = "bayesian",
        handleInvalid: str = "error",
        maxIter: int = 100,
        tol: float = 1e-6,
        numBootstraps: int = 0,
        form: str = "auto",
        logLikelihoodCol: str = "logLikelihood",
        seed: int = 0,
    ) -> None: ...

    def fit(self, dataset: Any, params: Any = None) -> Any:
        """Fit on a DataFrame, or on a partitioned data set of categorical features.

        Of a partitioned data set, the class is a variable too.

        Parameters
        ----------
        dataset : DataFrame or PartitionedDataset
        params : dict or list of dict, optional
            As for any estimator of Spark ML.

        Returns
        -------
        BayesianNetworkModel, or a list of them
        """
        return super().fit(dataset, params)

    def _fit(self, dataset: DataFrame | PartitionedDataset) -> BayesianNetworkModel:
        start = time.perf_counter()
        plan = self._fit_plan()
        learned = self._learned(dataset, plan, self.getOrDefault(self.form))
        facts = {**learned.facts, "seconds": time.perf_counter() - start}
        model = BayesianNetworkModel(learned.network, facts)
        return model._set(logLikelihoodCol=self.getOrDefault(self.logLikelihoodCol))

    def _learned(
        self, dataset: DataFrame | PartitionedDataset, plan: FitPlan, form: str
    ) -> LearnedNetwork:
        """Check what can be checked before the first job, and learn."""
        if isinstance(dataset, PartitionedDataset):
            check_categorical(dataset)
            rows = ShardRows(get_session(), dataset)
            plan.structure.check(rows.variables.names)
            return learn_from_shards(rows, plan, form)
        names = chosen_columns(dataset, self._value(self.featuresCols))
        plan.structure.check(names)
        return learn_from_frame(dataset, names, plan, form)
