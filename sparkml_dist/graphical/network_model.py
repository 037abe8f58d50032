"""The fitted model of a Bayesian network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyspark.ml.base import Model
from pyspark.ml.param import TypeConverters

from sparkml_dist.cluster.iterator_udf import iterator_udf
from sparkml_dist.cluster.joined_batches import joined_batches
from sparkml_dist.dataset.column_names import check_outputs, with_output, with_outputs
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.dataset.schema import FeatureColumn, FeatureSchema
from sparkml_dist.graphical.counting.block_counts import Codes
from sparkml_dist.graphical.counting.frame_rows import codes_of
from sparkml_dist.graphical.formats.bif import to_bif
from sparkml_dist.graphical.formats.xmlbif import to_xmlbif
from sparkml_dist.graphical.inference.elimination import query
from sparkml_dist.graphical.inference.junction_tree import JunctionTree
from sparkml_dist.graphical.inference.most_probable import most_probable
from sparkml_dist.graphical.inference.sampling import sample_codes
from sparkml_dist.graphical.network import Network
from sparkml_dist.graphical.picture import draw_network, write_picture
from sparkml_dist.graphical.row_columns import Filled, LogLikelihood, Posterior, state_texts
from sparkml_dist.graphical.sampled_rows import sampled_rows
from sparkml_dist.html.summary import Row, ShowsItself, listed, numbers
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.models.scoring import check_feature_columns
from sparkml_dist.params import AccessibleParams, param
from sparkml_dist.persistence.arrays import read_array, write_array
from sparkml_dist.persistence.filesystem import Folder
from sparkml_dist.persistence.model_folder import ModelFile

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from sparkml_dist.report.plots.shown_figure import ShownFigure

__all__ = ["TABLES", "BayesianNetworkModel"]

#: File of the probabilities of all variables, one table after the other.
TABLES = "tables.npy"
_ROWS_AT_ONCE = 32_768

Floats = npt.NDArray[np.float64]


class BayesianNetworkModel(ShowsItself, Persistable, AccessibleParams, Model):
    """A Bayesian network: the model of `BayesianNetwork`, or one read from a file.

    `transform` adds ``logLikelihood``, the logarithm of the probability of a row's observed values:
    the lower it is, the more of an outlier the row is.

    Attributes
    ----------
    network : Network
        Graph and tables.
    arcs : list of (str, str)
        Pairs of parent and child.
    summary : dict
        Facts about the fit: ``rows``, ``score``, ``scores`` by name, ``parameters``, ``passes``
        over the rows, and what the algorithm adds, such as ``mutual_information`` of a tree,
        ``undirected`` edges of PC, ``strengths`` of arcs, ``em``.
    """

    logLikelihoodCol: Any = param(
        "logLikelihoodCol",
        "column for the logarithm of the probability of a row's observed values",
        TypeConverters.toString,
    )

    _defaults: ClassVar[dict[str, Any]] = {"logLikelihoodCol": "logLikelihood"}

    def __init__(self, network: Network, summary: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.network = network
        self.summary = summary or {}

    # -- what it holds --------------------------------------------------------------------

    @property
    def arcs(self) -> list[tuple[str, str]]:
        """Pairs of parent and child."""
        return self.network.arcs

    @property
    def variables(self) -> dict[str, list[str]]:
        """The states of each variable, by name."""
        return {v.name: list(v.states) for v in self.network.variables.items}

    @property
    def numParameters(self) -> int:
        """Number of free parameters."""
        return self.network.n_parameters

    def __repr__(self) -> str:
        text = str(self.network)
        shown = text if len(text) <= 300 else f"{text[:300]}…"
        return f"BayesianNetworkModel({shown})"

    # -- questions ------------------------------------------------------------------------

    def query(self, variables: Sequence[str], evidence: Mapping[str, Any] | None = None) -> Floats:
        """Return the joint distribution of variables, given the states of others.

        Parameters
        ----------
        variables : sequence of str
        evidence : mapping of str to state, optional

        Returns
        -------
        ndarray
            An axis for each variable, in the order of its states.

        Raises
        ------
        ConfigurationError
            ``unknown_variable``, ``column_twice``.
        DataError
            ``unknown_state``, ``impossible_evidence``, ``too_many_cells``.
        """
        names = [variables] if isinstance(variables, str) else list(variables)
        return query(self.network, names, evidence)

    def marginals(self, evidence: Mapping[str, Any] | None = None) -> dict[str, dict[str, float]]:
        """Return the distribution of every variable, given the states of some.

        All come from one junction tree; see `query` for what is raised.
        """
        found = JunctionTree(self.network).beliefs(evidence).marginals
        return {
            name: dict(zip(self.variables[name], values.tolist(), strict=True))
            for name, values in found.items()
        }

    def probability(self, evidence: Mapping[str, Any]) -> float:
        """Return the probability of the states of some variables."""
        return float(np.exp(JunctionTree(self.network).beliefs(evidence).log_probability))

    def most_probable(self, evidence: Mapping[str, Any] | None = None) -> dict[str, str]:
        """Return the states of all variables that are most probable together, given some."""
        return most_probable(self.network, evidence)[0]

    def do(self, interventions: Mapping[str, Any]) -> BayesianNetworkModel:
        """Return the model in which variables are set from outside, whatever their parents.

        Parameters
        ----------
        interventions : mapping of str to state
        """
        return BayesianNetworkModel(self.network.do(interventions), dict(self.summary))

    def sample(self, rows: int, *, seed: int = 0) -> DataFrame:
        """Return a DataFrame of rows drawn from the network, by executors.

        Parameters
        ----------
        rows : int
        seed : int, default=0
            Row by row the same, for any number of partitions.
        """
        from pyspark.sql.types import StringType

        network = self.network

        def draw(number: int, generator: np.random.Generator) -> list[pa.Array]:
            return list(state_texts(network, sample_codes(network, number, generator)))

        return sampled_rows(rows, seed, network.names, StringType(), draw)

    # -- rows -----------------------------------------------------------------------------

    def _transform(self, dataset: DataFrame) -> DataFrame:
        output = self.getOrDefault(self.logLikelihoodCol)
        check_outputs(dataset, [output])
        return self._added(dataset, output, "double", LogLikelihood(self.network))

    def fill(self, dataset: DataFrame) -> DataFrame:
        """Return a DataFrame whose missing values are each the most probable one.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame
            With the network's columns; nulls, NaN and unknown states are missing.

        Returns
        -------
        pyspark.sql.DataFrame
            The columns in their order and types.
        """
        from pyspark.sql import functions as F

        names = self.network.names
        schema = self._schema(dataset)
        kind = ", ".join(f"`v{i}`: string" for i in range(len(names)))
        made = self._column(schema, f"struct<{kind}>", Filled(self.network))
        frame = dataset.select("*", made.alias("_sparkml_dist_filled"))
        columns = []
        for name in dataset.columns:
            column = named_column(name)
            if name in names:
                text = F.col(f"_sparkml_dist_filled.v{names.index(name)}")
                column = text.cast(dataset.schema[name].dataType)
            columns.append(column.alias(name))
        return frame.select(*columns)

    def predict(
        self, dataset: DataFrame, variable: str, *, probabilityCol: str = "probability"
    ) -> DataFrame:
        """Return a DataFrame with the distribution of a variable, given each row's other values.

        Parameters
        ----------
        dataset : pyspark.sql.DataFrame
            The variable's own column may be missing, and is not looked at.
        variable : str
        probabilityCol : str, default="probability"
            Column for an array of doubles in the order of the variable's states: nulls where the
            other values have the probability 0.
        """
        target = self.network.variables.index(variable)
        schema = self._schema(dataset, without=target)
        made = self._column(schema, "array<double>", Posterior(self.network, target))
        return with_output(dataset, probabilityCol, made)

    def _schema(self, df: DataFrame, without: int | None = None) -> FeatureSchema:
        columns = [
            FeatureColumn(v.name, "categorical", categories=v.states)
            for i, v in enumerate(self.network.variables.items)
            if i != without
        ]
        schema = FeatureSchema.build(columns, sparse=False)
        check_feature_columns(df, schema)
        return schema

    def _added(self, df: DataFrame, output: str, kind: str, function: Any) -> DataFrame:
        made = self._column(self._schema(df), kind, function)
        from pyspark.sql import functions as F

        frame = df.select("*", made.alias("_sparkml_dist_made"))
        return with_outputs(
            frame, {output: F.col("_sparkml_dist_made")}, temporary=["_sparkml_dist_made"]
        )

    def _column(self, schema: FeatureSchema, kind: str, function: Callable[[Codes], Any]) -> Any:
        from pyspark.sql import functions as F

        carried = schema.n_transported

        def score(batches: Iterator[pa.Array]) -> Iterator[pa.Array]:
            for batch in joined_batches(batches, _ROWS_AT_ONCE):
                features = schema.encode([batch.field(i) for i in range(carried)])
                yield function(codes_of(np.asarray(features)))

        return iterator_udf(score, kind)(F.struct(*schema.transport()))

    # -- files ----------------------------------------------------------------------------

    def to_bif(self, path: str) -> None:
        """Write the network as a BIF file, with probabilities to the last digit."""
        _write_text(path, to_bif(self.network))

    def to_xmlbif(self, path: str) -> None:
        """Write the network as an XMLBIF file."""
        _write_text(path, to_xmlbif(self.network))

    def plot(self, path: str | None = None) -> ShownFigure:
        """Return a picture of the graph, which notebooks show.

        Arcs whose strengths were estimated by a bootstrap are the wider, the stronger they are.

        Parameters
        ----------
        path : str, optional
            File to write it to as well, in the format of its name: PNG, SVG or PDF.

        Raises
        ------
        ConfigurationError
            ``unknown_format``.
        """
        strengths = self.summary.get("strengths")
        if path is not None:
            folder, _, name = str(path).rpartition("/")
            write_picture(self.network, Folder.at(folder or "."), name, strengths=strengths)
        return draw_network(self.network, strengths=strengths)

    def _shown(self) -> Iterator[Row]:
        yield listed("variables", self.network.names)
        yield listed("arcs", [f"{a} → {b}" for a, b in self.arcs])
        facts = {**self.summary, "parameters": self.numParameters}
        known = ("rows", "parameters", "score", "passes", "seconds")
        numeric = {k: facts[k] for k in known if isinstance(facts.get(k), int | float)}
        yield Row("fit", numbers(numeric, ",.6g"))

    def _state(self) -> dict[str, Any]:
        return {"network": self.network.to_dict(), "summary": self.summary}

    def _write_files(self, folder: Folder) -> Sequence[ModelFile]:
        write_array(folder, TABLES, self.network.flat_tables())
        return [ModelFile.of(folder, TABLES)]

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        flat = read_array(saved.folder, saved.listed(TABLES))
        return cls(Network.from_dict(saved.state["network"], flat), dict(saved.state["summary"]))

    def copy(self, extra: Any = None) -> Self:
        """Return a copy with other Params; the network is shared."""
        twin: Any = type(self)(self.network, self.summary)
        twin._resetUid(self.uid)
        twin._home, twin.files, twin.trusted = self._home, self.files, self.trusted
        self._copyValues(twin)
        return self._copyValues(twin, extra) if extra else twin


def _write_text(path: str, text: str) -> None:
    folder, _, name = str(path).rpartition("/")
    Folder.at(folder or ".").write_bytes(name, text.encode())
