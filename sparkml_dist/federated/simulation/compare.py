"""Federated training against training in each silo alone, and against pooled training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from sparkml_dist.errors import DataError, SparkMLDistError, nearest
from sparkml_dist.federated.simulation.silo_metrics import SiloMetrics, silo_metrics

if TYPE_CHECKING:
    import pandas as pd
    from pyspark.sql import DataFrame

__all__ = ["compare_federated"]


def compare_federated(
    train: DataFrame,
    test: DataFrame,
    federated: Any,
    central: Any,
    *,
    siloCol: str = "silo",
    local: bool = True,
) -> pd.DataFrame:
    """Fit federated models, one on all rows in one place, and one in each silo; compare them.

    Parameters
    ----------
    train, test : pyspark.sql.DataFrame
        With a column of silos.
    federated : estimator, or mapping of str to estimator
        Estimators with ``siloCol``, by the name of their line.
    central : estimator
        Fitted on all rows, without the column of silos, and on those of each silo.
    siloCol : str, default="silo"
    local : bool, default=True
        Whether to fit a model in each silo, which takes a fit for each.

    Returns
    -------
    pandas.DataFrame
        A line for each model: ``model``, the score of all test rows (``accuracy`` or ``rmse``),
        ``mean``, ``variance``, ``worst`` and ``worst_silo`` of the silos' scores. The line
        ``"local only"`` scores each silo's test rows by its own model, and ``"local, elsewhere"``
        the test rows of the other silos. Silos whose rows no model can be fitted to are counted in
        ``failed``.

    Raises
    ------
    DataError
        ``column_not_found``.
    """
    import pandas as pd

    for what, df in (("train", train), ("test", test)):
        if siloCol not in df.columns:
            raise DataError(
                "column_not_found",
                f"The rows of {what} have no column {siloCol!r}.{nearest(siloCol, df.columns)}",
                f"Columns are: {', '.join(df.columns[:12])}.",
            )
    lines: list[dict[str, Any]] = []
    named = federated if isinstance(federated, Mapping) else {"federated": federated}
    for name, estimator in named.items():
        lines.append(_line(name, _scored(estimator.fit(train), test, siloCol)))
    lines.append(_line("pooled", _scored(central.fit(train.drop(siloCol)), test, siloCol)))
    if local:
        lines += _local(train, test, central, siloCol)
    return pd.DataFrame(lines)


def _scored(model: Any, test: DataFrame, silo: str) -> SiloMetrics:
    return silo_metrics(
        model.transform(test),
        siloCol=silo,
        labelCol=model.label.column,
        classes=list(model.label.classes) or None,
        predictionCol=model.getOrDefault("predictionCol"),
    )


def _line(name: str, scores: SiloMetrics, failed: int = 0) -> dict[str, Any]:
    return {
        "model": name,
        scores.metric: scores.pooled,
        "mean": scores.mean,
        "variance": scores.variance,
        "worst": scores.worst,
        "worst_silo": scores.worst_silo,
        "failed": failed,
    }


def _local(train: DataFrame, test: DataFrame, central: Any, silo: str) -> list[dict[str, Any]]:
    """Return the lines of models that each silo fits alone."""
    import pandas as pd
    from pyspark.sql import functions as F

    column = F.col(silo).cast("string")
    names = sorted(r[0] for r in train.select(column).distinct().collect() if r[0] is not None)
    own, elsewhere, failed, metric = [], [], 0, ""
    for name in names:
        try:
            model = central.fit(train.where(column == name).drop(silo))
            scores = _scored(model, test, silo)
        except SparkMLDistError:
            failed += 1
            continue
        metric = scores.metric
        here = scores.table["silo"] == name
        own.append(scores.table[here])
        away = SiloMetrics(scores.table[~here], metric)
        if len(away.table):
            elsewhere.append({"silo": name, "rows": 1, metric: away.pooled})
    lines = []
    if own:
        lines.append(
            _line("local only", SiloMetrics(pd.concat(own, ignore_index=True), metric), failed)
        )
    if elsewhere:
        table = pd.DataFrame(elsewhere)
        line = _line("local, elsewhere", SiloMetrics(table, metric), failed)
        line[metric] = float(np.mean(table[metric]))
        lines.append(line)
    return lines
