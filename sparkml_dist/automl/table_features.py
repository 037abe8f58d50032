"""Features of any table, by its profile: which columns to use, and how."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pyspark.ml.param import TypeConverters
from pyspark.ml.param.shared import HasLabelCol, HasSeed, HasWeightCol

from sparkml_dist.automl.column_roles import decide, is_skewed, is_worded
from sparkml_dist.automl.label_alerts import label_alerts
from sparkml_dist.automl.label_copies import label_copies
from sparkml_dist.automl.table_column import (
    LARGEST,
    MOST_WORD_FEATURES,
    Role,
    TableColumn,
    check_time_zone,
    role_of_type,
)
from sparkml_dist.automl.table_features_model import TableFeaturesModel
from sparkml_dist.cluster.progress import job_description
from sparkml_dist.cluster.task_errors import errors_of_tasks
from sparkml_dist.dataset.column_names import refuse_ambiguous
from sparkml_dist.dataset.columns import match_columns
from sparkml_dist.dataset.many_columns import quoted
from sparkml_dist.errors import ConfigurationError, DataError, nearest
from sparkml_dist.mining.profiling.profile import Profile, profile
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import constructor, param

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType

__all__ = ["TableFeatures"]

_logger = logging.getLogger(__name__)

#: A numeric label with more values is a number and not a class.
_MOST_CLASSES = 20
_SECONDS_OF_DAY = 86_400


class TableFeatures(SavedParams, HasLabelCol, HasWeightCol, HasSeed):
    """Makes a table of any columns one that `partition` takes, and says what deserves attention.

    The table is profiled (`profile`), and each column gets a role. Numbers, booleans, vectors and
    arrays of numbers are features as they are (infinite values of numbers are missing, in another
    column); strings are categories. Dates and times become year,
    month, weekday (0 is Monday), hour and days since the first one. Texts become counts of words
    and pairs of words, hashed into an array, and their number of words. Columns that are constant,
    without values, identify rows, number them, or are the label under other values are dropped,
    with the reason. A column that predicts the label too well alone, by a sample of rows, stays and
    gets an alert: it may be a good feature.

    Parameters
    ----------
    labelCol : str, default="label"
    featuresCols : list of str, optional
        Columns to use, by name or glob; all without another role by default. A column of another
        type (arrays of strings, maps, structs, binary) is refused if it is named here, and dropped
        otherwise.
    categoricalCols : list of str, optional
        Columns, by name or glob, of strings or numbers that are categories whatever the profile
        says.
    textCols : list of str, optional
        Columns, by name or glob, of strings that are texts whatever the profile says.
    weightCol, keyCol : str, optional
        Columns that are no features.
    maxCategories : int, default=100
        Strings with more distinct values than this (or than half of the rows), of three words or
        more on average, are texts.
    numTextFeatures : int, default=64
        Features that the words of each text column are hashed into.
    maxWords : int, default=2
        Words that count together as one, 1 or 2.
    leakAbove : float, default=0.99
        Area under the ROC curve, or rank correlation, of a single column from which it gets an
        alert.
    timeZone : str, optional
        In which times are read, like ``"Europe/Berlin"``; that of the session by default. The model
        keeps it.
    seed : int, default=0
        Of the sample of rows.

    Examples
    --------
    >>> table = spark.createDataFrame(
    ...     [(float(i), f"2026-03-{i + 1:02d}", "ab"[i % 2], i % 3) for i in range(24)],
    ...     "size double, day string, kind string, label int",
    ... ).selectExpr("size", "cast(day AS date) day", "kind", "label", "'x' AS same")
    >>> model = TableFeatures(labelCol="label").fit(table)
    >>> model.featureColumns
    ['size', 'day_month', 'day_weekday', 'day_days', 'kind']
    >>> model.categoricalColumns, model.dropped
    (['kind'], {'same': 'is constant'})
    >>> model.transform(table).select("day_weekday").first()
    Row(day_weekday=6.0)
    """

    featuresCols: Any = param(
        "featuresCols",
        "columns to use, by name or glob; all without another role when not set",
        TypeConverters.toListString,
    )
    categoricalCols: Any = param(
        "categoricalCols",
        "columns, by name or glob, that are categories whatever the profile says",
        TypeConverters.toListString,
    )
    textCols: Any = param(
        "textCols",
        "columns, by name or glob, of strings that are texts whatever the profile says",
        TypeConverters.toListString,
    )
    keyCol: Any = param("keyCol", "column that identifies a row", TypeConverters.toString)
    maxCategories: Any = param(
        "maxCategories",
        "distinct values beyond which strings of several words are texts (>= 2)",
        TypeConverters.toInt,
    )
    numTextFeatures: Any = param(
        "numTextFeatures",
        f"features that the words of a text are hashed into (1 to {MOST_WORD_FEATURES:,})",
        TypeConverters.toInt,
    )
    maxWords: Any = param(
        "maxWords", "words of a text that count together as one (1 or 2)", TypeConverters.toInt
    )
    leakAbove: Any = param(
        "leakAbove",
        "score of a single column from which it may leak the label (0.5 to 1)",
        TypeConverters.toFloat,
    )
    timeZone: Any = param(
        "timeZone",
        "time zone in which times are read; that of the session when not set",
        TypeConverters.toString,
    )

    @constructor
    def __init__(
        self,
        *,
        labelCol: str = "label",
        featuresCols: Sequence[str] | None = None,
        categoricalCols: Sequence[str] | None = None,
        textCols: Sequence[str] | None = None,
        weightCol: str | None = None,
        keyCol: str | None = None,
        maxCategories: int = 100,
        numTextFeatures: int = 64,
        maxWords: int = 2,
        leakAbove: float = 0.99,
        timeZone: str | None = None,
        seed: int = 0,
    ) -> None: ...

    def _fit(self, dataset: DataFrame) -> TableFeaturesModel:
        started = time.perf_counter()
        self._check()
        label, zone = self.getOrDefault(self.labelCol), self._zone(dataset)
        kinds, forced, dropped = self._columns(dataset, label)
        used = dataset.select(*quoted([label, *kinds]))
        with (
            job_description(dataset.sparkSession, "sparkml_dist: features of a table"),
            errors_of_tasks(),
        ):
            found = profile(
                used,
                target=label,
                top=32,
                maxCorrelated=0,
                leakAbove=self.getOrDefault(self.leakAbove),
                seed=self.getOrDefault(self.seed),
            )
            words = self._words(used, found, kinds, forced)
            copies = self._copies(used, label, found)
        columns: list[TableColumn] = []
        alerts = [(label, alert) for alert in label_alerts(found[label], found.rows)]
        taken = {name.casefold() for name in dataset.columns}
        for name, kind in kinds.items():
            column = found[name]
            decision = decide(column, kind, words.get(name), forced.get(name))
            if name in copies:
                dropped[name] = "is the label under other values"
            elif decision.role is None:
                dropped[name] = decision.reason
            else:
                columns.append(self._column(column, decision.role, taken))
                # Texts are usually distinct.
                worth = [a for a in column["alerts"] if decision.role != "text" or "key?" not in a]
                alerts += [(name, alert) for alert in worth]
                if columns[-1].role == "number" and columns[-1].outputs != (name,):
                    alerts.append((name, "values that are infinite or above 3.4e38 are missing"))
        if not columns:
            raise DataError(
                "no_features",
                "No column is left that features could be made of.",
                "; ".join(f"{name}: {why}" for name, why in list(dropped.items())[:12]),
            )
        for name, reason in dropped.items():
            _logger.info("Column %r is no feature: %s", name, reason)
        return TableFeaturesModel(
            columns=columns,
            dropped=dropped,
            alerts=alerts,
            label=label,
            timeZone=zone,
            summary={"rows": found.rows, "seconds": time.perf_counter() - started},
        )

    def _check(self) -> None:
        for name, least, most in (
            ("maxCategories", 2, 2**31 - 1),
            ("numTextFeatures", 1, MOST_WORD_FEATURES),
            ("maxWords", 1, 2),
            ("leakAbove", 0.5, 1),
        ):
            value = self.getOrDefault(name)
            if not least <= value <= most:
                raise ConfigurationError(
                    "invalid_param", f"{name} must be between {least} and {most:,}. Got {value!r}."
                )

    def _zone(self, df: DataFrame) -> str:
        zone = self._value(self.timeZone)
        try:
            return check_time_zone(
                zone or str(df.sparkSession.conf.get("spark.sql.session.timeZone"))
            )
        except ValueError as error:
            raise ConfigurationError(
                "invalid_param", f"timeZone must name a time zone: {error}."
            ) from error

    def _columns(
        self, df: DataFrame, label: str
    ) -> tuple[dict[str, str], dict[str, Role], dict[str, str]]:
        """Return the kinds of the columns to use, roles that the user gives, and dropped columns.

        Looks at the schema alone.
        """
        types: dict[str, DataType] = {f.name: f.dataType for f in df.schema.fields}
        others = {"weight": self._value(self.weightCol), "key": self._value(self.keyCol)}
        reserved = {name for name in (label, *others.values()) if name}
        for role, name in {"label": label, **others}.items():
            if name and name not in types:
                raise DataError(
                    "column_not_found",
                    f"There is no column {name!r} for {role}.{nearest(name, types)}",
                    f"Columns are: {', '.join(list(types)[:12])}.",
                )
        named = self._value(self.featuresCols)
        chosen = list(types) if named is None else match_columns("featuresCols", named, types)
        chosen = [name for name in chosen if name not in reserved]
        refuse_ambiguous(df, [*chosen, *reserved])
        kinds: dict[str, str] = {}
        dropped: dict[str, str] = {}
        for name in chosen:
            kind = role_of_type(types[name])
            if kind:
                kinds[name] = kind
                continue
            what = types[name].simpleString()
            if named is not None and name in named:
                raise DataError(
                    "column_type",
                    f"No features are made of the column {name!r}, which is of type {what}.",
                    "Leave it out of featuresCols, or make numbers, strings or dates of it first.",
                )
            dropped[name] = f"is of type {what}"
        return kinds, self._forced(types, kinds), dropped

    def _forced(self, types: Mapping[str, DataType], kinds: Mapping[str, str]) -> dict[str, Role]:
        forced: dict[str, Role] = {}
        wanted: list[tuple[str, Role, tuple[str, ...]]] = [
            ("categoricalCols", "category", ("string", "number")),
            ("textCols", "text", ("string",)),
        ]
        for param_name, role, fitting in wanted:
            patterns = self._value(self.getParam(param_name)) or []
            for name in match_columns(param_name, patterns, types) if patterns else []:
                if name in kinds and kinds[name] not in fitting:
                    raise DataError(
                        "column_type",
                        f"The column {name!r} of {param_name} is of type "
                        f"{types[name].simpleString()}.",
                        f"It must hold {' or '.join(fitting)}s.",
                    )
                if name in forced:
                    raise ConfigurationError(
                        "column_twice", f"{name!r} cannot be both a category and a text."
                    )
                if name in kinds:
                    forced[name] = role
        return forced

    def _words(
        self, df: DataFrame, found: Profile, kinds: Mapping[str, str], forced: Mapping[str, Role]
    ) -> dict[str, float]:
        """Return the mean number of words of the columns that may be texts."""
        from pyspark.sql import functions as F

        most = self.getOrDefault(self.maxCategories)
        names = [
            n
            for n, kind in kinds.items()
            if kind == "string" and n not in forced and is_worded(found[n], most)
        ]
        if not names:
            return {}
        means = [
            f"avg(size(split(trim({n}), r'\\s+'))) as w{i}" for i, n in enumerate(quoted(names))
        ]
        row = df.agg(*map(F.expr, means)).first()
        assert row is not None
        return {name: row[i] or 0.0 for i, name in enumerate(names)}

    def _copies(self, df: DataFrame, label: str, found: Profile) -> set[str]:
        """Return the columns that are the label under other values."""
        target = found[label]
        distinct = target.get("distinct", 0)
        is_number = target["kind"] == "number" and distinct > _MOST_CLASSES
        if not is_number and distinct > max(_MOST_CLASSES, found.rows / 2):
            return set()
        alike = [
            c["name"]
            for c in found.columns
            if c["name"] != label
            and c.get("leak", {}).get("score", 0) >= 0.999
            and c["leak"]["by"] == "value"
            and abs(c.get("distinct", 0) - distinct) <= 0.05 * distinct
        ]
        return set(label_copies(df, label, alike, is_number=is_number))

    def _column(self, column: Mapping[str, Any], role: Role, taken: set[str]) -> TableColumn:
        """Return the plan of a column; names of its outputs are added to `taken`."""
        name = column["name"]
        facts = {
            "missing": column["missing"] / column["rows"],
            "distinct": int(column.get("distinct", 0)),
        }
        if role == "text":
            return TableColumn(
                name,
                role,
                (_free(f"{name}_words", taken), _free(f"{name}_numWords", taken)),
                width=self.getOrDefault(self.numTextFeatures),
                ngram=self.getOrDefault(self.maxWords),
                **facts,
            )
        if role in ("date", "timestamp"):
            unit = 1 if role == "date" else _SECONDS_OF_DAY
            first, last = int(column["min"] // unit), int(column["max"] // unit)
            parts = _parts(role, first, last)
            outputs = tuple(_free(f"{name}_{part}", taken) for part in parts)
            return TableColumn(name, role, outputs, parts, first, **facts)
        output = name
        if role == "number" and _has_unbounded(column):
            output = _free(f"{name}_finite", taken)
        return TableColumn(
            name, role, (output,), skewed=role == "number" and is_skewed(column), **facts
        )


def _has_unbounded(column: Mapping[str, Any]) -> bool:
    """Tell whether a number has values that single precision does not hold."""
    largest = max(abs(column.get(end) or 0.0) for end in ("min", "max"))
    return bool(column.get("infinite")) or largest > LARGEST


def _parts(role: Role, first: int, last: int) -> tuple[str, ...]:
    """Return the parts of dates between two days that differ among them."""
    import datetime

    def year(day: int) -> int:
        try:
            return (datetime.date(1970, 1, 1) + datetime.timedelta(days=day)).year
        except OverflowError:  # beyond Python's years
            return day

    # A time zone moves a time to the day before or after.
    margin = 1 if role == "timestamp" else 0
    several = year(first - margin) != year(last + margin)
    hour = ("hour",) if role == "timestamp" else ()
    return (*(("year",) if several else ()), "month", "weekday", *hour, "days")


def _free(name: str, taken: set[str]) -> str:
    """Return a name that no column has."""
    while name.casefold() in taken:
        name += "_"
    taken.add(name.casefold())
    return name
