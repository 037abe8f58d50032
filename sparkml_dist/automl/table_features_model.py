"""The features of a table, found by `TableFeatures`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Self

from pyspark.ml.base import Model

from sparkml_dist.automl.hashed_words import with_hashed_words
from sparkml_dist.automl.table_column import TableColumn, check_time_zone
from sparkml_dist.dataset.column_names import check_outputs, refuse_ambiguous, with_outputs
from sparkml_dist.errors import DataError, nearest
from sparkml_dist.html.summary import Row, ShowsItself
from sparkml_dist.models.loading import Saved
from sparkml_dist.models.persistable import Persistable
from sparkml_dist.params import AccessibleParams
from sparkml_dist.persistence.fields import items, mapping, text

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["TableFeaturesModel"]

_SHOWN = 10
_TEMPORARY = "_sparkml_dist_feature_"


class TableFeaturesModel(ShowsItself, Persistable, AccessibleParams, Model):
    """The features of a table: which columns they are made of, and how.

    ``transform`` adds the columns of features that are made of dates, times and texts. Numbers,
    booleans, categories and vectors are features as they are, so that `partition` takes
    `featureColumns` as its features and `categoricalColumns` as categories. It needs no job, and
    rows are not read by Python.

    Attributes
    ----------
    columns : tuple of TableColumn
        The columns that features are made of.
    dropped : dict of str to str
        Columns that no features are made of, and why.
    alerts : list of (str, str)
        Columns, and what deserves attention about them.
    label : str
    timeZone : str
        In which times are read.
    summary : dict
        Facts about the fit.
    """

    def __init__(
        self,
        *,
        columns: Sequence[TableColumn],
        dropped: Mapping[str, str],
        alerts: Sequence[tuple[str, str]],
        label: str,
        timeZone: str,
        summary: Mapping[str, Any],
    ) -> None:
        super().__init__()
        self.columns = tuple(columns)
        self.dropped = dict(dropped)
        self.alerts = list(alerts)
        self.label = label
        self.timeZone = timeZone
        self.summary = dict(summary)

    @property
    def featureColumns(self) -> list[str]:
        """Columns of features, after `transform`."""
        return [output for column in self.columns for output in column.outputs]

    @property
    def categoricalColumns(self) -> list[str]:
        """Those of them that hold categories."""
        return [column.name for column in self.columns if column.role == "category"]

    def _shown(self) -> Iterator[Row]:
        yield Row("label", code=[self.label] if self.label else [])
        roles = Counter(column.role for column in self.columns)
        shown = ", ".join(f"{n:,} {role}" for role, n in roles.most_common())
        yield Row("columns", shown, f"({len(self.featureColumns):,} columns of features)")
        for name, why in list(self.dropped.items())[:_SHOWN]:
            yield Row("left out", f": {why}", code=[name])
        for name, alert in self.alerts[:_SHOWN]:
            yield Row("alert", f": {alert}", code=[name])

    def _shown_more(self) -> Iterator[Row]:
        for column in self.columns:
            yield Row(column.name, column.role)

    def _transform(self, dataset: DataFrame) -> DataFrame:
        from pyspark.sql import functions as F

        refuse_ambiguous(dataset, [c.name for c in self.columns])
        types = {field.name: field.dataType for field in dataset.schema.fields}
        made: dict[str, Column] = {}
        for column in self.columns:
            if column.name not in types:
                raise DataError(
                    "column_not_found",
                    f"The features need the column {column.name!r}, which the data lacks."
                    f"{nearest(column.name, types)}",
                    f"Columns are: {', '.join(dataset.columns[:12])}.",
                )
            column.check_type(types[column.name])
            made |= column.columns(types[column.name], self.timeZone)
        texts = [column for column in self.columns if column.role == "text"]
        outputs = [column.outputs[0] for column in texts]
        check_outputs(dataset, [*made, *outputs], self.label)
        if not made:
            return dataset
        # Columns with the names of outputs may be what outputs are made of: they are replaced last.
        places = {name: f"{_TEMPORARY}{i}" for i, name in enumerate(made)}
        with_made = dataset.select("*", *[made[n].alias(place) for n, place in places.items()])
        full, words = with_hashed_words(with_made, [c.text() for c in texts], _TEMPORARY)
        added = {name: F.col(place) for name, place in places.items()}
        added |= dict(zip(outputs, words, strict=True))
        ordered = {name: added[name] for name in self.featureColumns if name in added}
        temporary = [c for c in full.columns if c.startswith(_TEMPORARY)]
        return with_outputs(full, ordered, temporary=temporary)

    def _state(self) -> dict[str, Any]:
        return {
            "columns": [column.to_dict() for column in self.columns],
            "dropped": self.dropped,
            "alerts": [list(alert) for alert in self.alerts],
            "label": self.label,
            "timeZone": self.timeZone,
            "summary": self.summary,
        }

    @classmethod
    def _restore(cls, saved: Saved) -> Self:
        state = saved.state
        alerts = [
            tuple(text(one, "alerts") for one in items(alert, "alerts"))
            for alert in items(state["alerts"], "alerts")
        ]
        if any(len(alert) != 2 for alert in alerts):
            raise ValueError("an alert is a column and a text")
        return cls(
            columns=[TableColumn.from_dict(c) for c in items(state["columns"], "columns")],
            dropped={
                text(name, "dropped"): text(reason, "dropped")
                for name, reason in mapping(state["dropped"], "dropped").items()
            },
            alerts=[(name, what) for name, what in alerts],
            label=text(state["label"], "label"),
            timeZone=check_time_zone(text(state["timeZone"], "timeZone")),
            summary=mapping(state["summary"], "summary"),
        )

    def _check_restored(self) -> None:
        if not self.columns:
            raise ValueError("there must be a column or more")

    def __repr__(self) -> str:
        return (
            f"TableFeaturesModel({len(self.featureColumns):,} columns of features, "
            f"{len(self.dropped):,} columns dropped)"
        )
