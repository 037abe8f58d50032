"""Scores of a network's outputs against their targets, on held-out rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.many_columns import named_column
from sparkml_dist.deep.input.target import target_names
from sparkml_dist.deep.network.output_facts import OutputFacts
from sparkml_dist.metrics.evaluation import class_values, label_column

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["OutputMetrics", "evaluate_outputs"]


@dataclass(frozen=True)
class OutputMetrics:
    """Scores of the outputs of a network that is neither a classifier nor a regressor.

    Attributes
    ----------
    rows : int
        Number of scored rows.
    values : dict of str to float or None
        ``rmse`` and ``mae`` in the unit of the targets, over all values of a row, and ``accuracy``
        of outputs with classes as targets; with several outputs, prefixed by the output's name and
        a slash. Missing targets, and labels outside the class list, are left out.
    """

    rows: int
    values: dict[str, float | None]

    def to_dict(self) -> dict[str, float | None]:
        """Return the values."""
        return dict(self.values)


def evaluate_outputs(model: Any, test: DataFrame, targets: Any) -> OutputMetrics:
    """Compare outputs with their target columns, in one pass.

    Parameters
    ----------
    model : KerasModel
    test : pyspark.sql.DataFrame
        Rows with targets.
    targets : str, list of str or dict
        As in `KerasEstimator`.

    Returns
    -------
    OutputMetrics
        Without outputs that only their loss can compare: those of another width than their targets
        or the class list (one output for two classes may be a probability or a logit).
    """
    from pyspark.sql import functions as F

    named = target_names(targets)
    scored = model.transform(test)
    prediction = named_column(model.getPredictionCol())
    facts: OutputFacts = OutputFacts.from_dict(model.content["facts"])
    outputs = facts.outputs
    several = len(named) > 1 or "" not in named
    sums: dict[str, Column] = {}
    for output in outputs:
        columns = match_columns("targets", named[output.name if several else ""], test.columns)
        given = prediction[output.name] if facts.kind != "single" else prediction
        before = f"{output.name}/" if len(outputs) > 1 else ""
        if output.target in ("codes", "one_hot"):
            classes = model.label.classes
            if output.size == len(classes):
                sums[f"{before}accuracy"] = _accuracy(columns[0], classes, given)
            continue
        if len(columns) != output.size:
            continue
        values = [given] if output.is_number else [given[i] for i in range(output.size)]
        errors = [
            named_column(column).cast("double") - value
            for column, value in zip(columns, values, strict=True)
        ]
        sums |= _measures(errors, before)
    found = scored.agg(F.count(F.lit(1)), *sums.values()).first()
    assert found is not None
    means = [None if value is None else float(value) for value in found[1:]]
    return OutputMetrics(int(found[0]), dict(zip(sums, means, strict=True)))


def _accuracy(label: str, classes: Sequence[Any], given: Column) -> Column:
    """Return the share of rows of a known class for which that class has the largest output."""
    from pyspark.sql import functions as F

    known = F.array(*map(F.lit, class_values(classes)))
    true = F.array_position(known, label_column(label, classes))
    largest = F.array_position(given, F.array_max(given))
    return F.avg(F.when(true > 0, (true == largest).cast("double")))


def _measures(errors: Sequence[Column], before: str) -> dict[str, Column]:
    from pyspark.sql import functions as F

    each = F.filter(F.array(*errors), lambda e: e.isNotNull() & ~F.isnan(e))
    number = F.sum(F.size(each))

    def mean(of: Any) -> Column:
        total = F.aggregate(each, F.lit(0.0), lambda s, e: s + of(e))
        return F.when(number > 0, F.sum(total) / number)

    return {f"{before}rmse": F.sqrt(mean(lambda e: e * e)), f"{before}mae": mean(F.abs)}
