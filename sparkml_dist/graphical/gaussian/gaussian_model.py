"""The fitted model of a Gaussian network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.base import Model
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.dataset.column_names import check_outputs, with_output
from sparkml_dist.dataset.many_columns import named_column, number_array
from sparkml_dist.errors import ConfigurationError
from sparkml_dist.graphical.gaussian.gaussian_graph import GaussianGraph
from sparkml_dist.graphical.gaussian.moments import numeric_columns
from sparkml_dist.graphical.graph import model_string
from sparkml_dist.graphical.sampled_rows import sampled_rows
from sparkml_dist.html.summary import Row, ShowsItself, listed, numbers
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["GaussianNetworkModel"]

_ARRAYS = ("intercepts", "coefficients", "variances")

Floats = npt.NDArray[np.float64]


class GaussianNetworkModel(ShowsItself, Persistable, AccessibleParams, Model):
    """The model of `GaussianNetwork`.

    `transform` adds ``logLikelihood``, the logarithm of the density of a row's observed values.

    Attributes
    ----------
    graph : GaussianGraph
        Names, parents, intercepts, coefficients and variances of the residuals.
    summary : dict
        ``rows``, ``skipped``, ``score``, ``parameters``, ``steps``, ``families``.
    """

    logLikelihoodCol: Any = param(
        "logLikelihoodCol",
        "column for the logarithm of the density of a row's observed values",
        TypeConverters.toString,
    )

    _defaults: ClassVar[dict[str, Any]] = {"logLikelihoodCol": "logLikelihood"}

    def __init__(self, graph: GaussianGraph, summary: dict[str, Any]) -> None:
        super().__init__()
        self.graph = graph
        self.summary = summary

    @property
    def arcs(self) -> list[tuple[str, str]]:
        """Pairs of parent and child."""
        return self.graph.arcs

    def _shown(self) -> Iterator[Row]:
        yield listed("variables", self.graph.names)
        yield listed("arcs", [f"{a} → {b}" for a, b in self.arcs])
        known = ("rows", "skipped", "parameters", "score", "steps")
        facts = {k: v for k, v in self.summary.items() if k in known}
        yield Row("fit", numbers(facts, ",.6g"))

    def coefficients(self, name: str) -> dict[str, float]:
        """Return a variable's regression: ``(intercept)``, and a number for each parent."""
        child = self.graph.index(name)
        found = {"(intercept)": float(self.graph.intercepts[child])}
        for parent in self.graph.parents[child]:
            found[self.graph.names[parent]] = float(self.graph.coefficients[child, parent])
        return found

    def query(
        self, variables: Sequence[str], evidence: Mapping[str, float] | None = None
    ) -> tuple[Floats, Floats]:
        """Return mean and covariance of variables, given the values of others.

        Raises
        ------
        ConfigurationError
            ``unknown_variable``, ``column_twice``.
        """
        wanted = [self.graph.index(name) for name in variables]
        known = [self.graph.index(name) for name in evidence or {}]
        for i, v in enumerate(wanted):
            if v in known or v in wanted[:i]:
                raise ConfigurationError(
                    "column_twice",
                    f"{self.graph.names[v]!r} is a target twice, or both target and evidence.",
                    "Name each variable once.",
                )
        values = np.array([[float(x) for x in (evidence or {}).values()]])
        means, covariance = self.graph.conditional(wanted, known, values)
        return means[0], covariance

    def do(self, interventions: Mapping[str, float]) -> GaussianNetworkModel:
        """Return the model in which variables are set from outside, whatever their parents."""
        return GaussianNetworkModel(self.graph.do(interventions), dict(self.summary))

    def sample(self, rows: int, *, seed: int = 0) -> DataFrame:
        """Return a DataFrame of rows drawn from the network, by executors.

        Parameters
        ----------
        rows : int
        seed : int, default=0
            Row by row the same, for any number of partitions.
        """
        from pyspark.sql.types import DoubleType

        graph = self.graph

        def draw(number: int, generator: np.random.Generator) -> list[pa.Array]:
            return [pa.array(column) for column in graph.sample(number, generator).T]

        return sampled_rows(rows, seed, graph.names, DoubleType(), draw)

    # -- rows -----------------------------------------------------------------------------

    def _transform(self, dataset: DataFrame) -> DataFrame:
        output = self.getOrDefault(self.logLikelihoodCol)
        check_outputs(dataset, [output])
        graph = self.graph

        def score(rows: Floats) -> pa.Array:
            return pa.array(graph.log_densities(rows))

        return with_output(dataset, output, self._column(dataset, "double", score))

    def fill(self, dataset: DataFrame) -> DataFrame:
        """Return a DataFrame whose missing values are their means, given the observed ones.

        The network's columns become doubles.
        """
        from pyspark.sql import functions as F

        graph, width = self.graph, len(self.graph.names)

        def complete(rows: Floats) -> pa.Array:
            offsets = np.arange(0, (len(rows) + 1) * width, width, dtype=np.int32)
            return pa.ListArray.from_arrays(offsets, pa.array(graph.filled(rows).ravel()))

        made = self._column(dataset, "array<double>", complete)
        frame = dataset.select("*", made.alias("_sparkml_dist_filled"))
        return frame.select(
            *[
                F.col("_sparkml_dist_filled")[graph.names.index(name)].alias(name)
                if name in graph.names
                else named_column(name)
                for name in dataset.columns
            ]
        )

    def _column(self, df: DataFrame, kind: str, function: Callable[[Floats], pa.Array]) -> Any:
        numeric_columns(df, list(self.graph.names))
        width = len(self.graph.names)

        def score(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            for batch in batches:
                rows = batch.flatten().to_numpy(zero_copy_only=False).reshape(-1, width)
                yield function(rows)

        return iterator_udf(score, kind)(
            number_array(list(self.graph.names), "double", null_is_nan=True)
        )

    # -- saving and loading ---------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return {"graph": self.graph.to_dict(), "summary": self.summary}

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        for name in _ARRAYS:
            write_array(folder, f"{name}.npy", getattr(self.graph, name))
        return [ModelFile.of(folder, f"{name}.npy") for name in _ARRAYS]

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        form = saved.state["graph"]
        names = tuple(str(name) for name in form["names"])
        parents = tuple(tuple(int(p) for p in of) for of in form["parents"])
        arrays = {n: read_array(saved.folder, saved.listed(f"{n}.npy")) for n in _ARRAYS}
        return cls(GaussianGraph(names, parents, **arrays), dict(saved.state["summary"]))

    def _check_restored(self) -> None:
        graph, d = self.graph, len(self.graph.names)
        shapes = {"intercepts": (d,), "coefficients": (d, d), "variances": (d,)}
        for name, shape in shapes.items():
            array = getattr(graph, name)
            if array.shape != shape or array.dtype != np.float64 or not np.isfinite(array).all():
                raise ValueError(f"{name} does not fit {d} variables")
        if len(graph.parents) != d or any(not 0 <= p < d for of in graph.parents for p in of):
            raise ValueError("the parents do not fit the variables")
        try:
            _ = graph.order
        except ConfigurationError as error:
            raise ValueError(error.message) from error

    def copy(self, extra: Any = None) -> Self:
        """Return a copy with other Params; the graph is shared."""
        twin: Any = type(self)(self.graph, self.summary)
        twin._resetUid(self.uid)
        twin._home, twin.files, twin.trusted = self._home, self.files, self.trusted
        self._copyValues(twin)
        return self._copyValues(twin, extra) if extra else twin

    def __repr__(self) -> str:
        return f"GaussianNetworkModel({model_string(self.graph.parents, self.graph.names)[:300]})"
