"""Params shared by the estimators and their models."""

from __future__ import annotations

import functools
import inspect
import numbers
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, TypeVar, cast

from pyspark.ml.param import Param, Params, TypeConverters
from pyspark.ml.param.shared import (
    HasFeaturesCol,
    HasLabelCol,
    HasPredictionCol,
    HasProbabilityCol,
    HasRawPredictionCol,
    HasSeed,
    HasWeightCol,
)

from sparkml_dist.errors import ConfigurationError, SparkMLDistError, nearest

__all__ = [
    "AccessibleParams",
    "HasClassColumns",
    "HasColumns",
    "HasCommonParams",
    "HasModelDir",
    "HasShards",
    "StandIn",
    "constructor",
    "is_share_or_count",
    "param",
    "share_of",
    "share_or_count",
]

F = TypeVar("F", bound=Callable[..., None])


def param(name: str, doc: str, converter: Any = None) -> Any:
    """Declare a Param in a class body."""
    return Param(Params._dummy(), name, doc, typeConverter=converter or TypeConverters.identity)


def share_or_count(value: Any) -> float | int:
    """Convert a Param that is a share, in (0, 1], where it is a float, and a number of things
    otherwise, as scikit-learn has it: 1.0 is all of them, and 1 is one.
    """
    if isinstance(value, numbers.Integral) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, numbers.Real) and not isinstance(value, bool):
        return float(value)
    raise TypeError(f"{value!r} is neither a share nor a number")


def is_share_or_count(value: float, least: int = 1) -> bool:
    """Tell whether a value is a share in (0, 1], or a whole number of at least `least`."""
    return value >= least if isinstance(value, int) else 0 < value <= 1


def share_of(value: float, total: int) -> float:
    """Return a share, or a count out of `total`, as a share; no more than all."""
    return min(1.0, value / max(1, total)) if isinstance(value, int) else value


class StandIn:
    """A value that a Param accepts in place of another: the Param stores its `value`."""

    value: Any


def constructor(init: F) -> F:
    """Make a constructor of a signature with nothing but keywords: the decorated one has no body.

    What the signature gives a Param is its default value, but for None; what a call gives is set.
    """
    parameters = list(inspect.signature(init).parameters.values())[1:]
    defaults = {p.name: p.default for p in parameters if p.default is not None}

    @functools.wraps(init)
    def construct(self: Any, **given: Any) -> None:
        AccessibleParams.__init__(self)
        self._defaultParamMap.clear()  # PySpark's mixins have some of their own
        self._setDefault(**defaults)
        self.setParams(**given)

    return cast("F", construct)


class AccessibleParams(Params):
    """Gives a class ``setParams``, and ``getX`` and ``setX`` for each of its Params.

    An estimator spells its Params out in a `constructor`. A fitted model, which nobody constructs,
    sets default values in ``_defaults``; those of its base classes apply too.
    """

    _defaults: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        super().__init__()
        for base in reversed(type(self).__mro__):
            self._setDefault(**vars(base).get("_defaults", {}))

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, declared in _declared(cls).items():
            capital = name[0].upper() + name[1:]
            # PySpark's own getters raise KeyError for a Param without a value.
            if getattr(cls, f"get{capital}", Params).__module__.startswith("pyspark."):
                setattr(cls, f"get{capital}", _getter(name, declared.doc))
            if not hasattr(cls, f"set{capital}"):
                setattr(cls, f"set{capital}", _setter(name, declared.doc))

    def setParams(self, **kwargs: Any) -> Any:
        """Set Params by name; None leaves a Param unchanged.

        Raises
        ------
        ConfigurationError
            ``unknown_param`` or ``invalid_param``.
        """
        known = [p.name for p in self.params]
        for name, value in kwargs.items():
            if name not in known:
                raise ConfigurationError(
                    "unknown_param",
                    f"{type(self).__name__} has no Param {name!r}.{nearest(name, known)}",
                    f"Params are: {', '.join(known)}.",
                )
            if value is None:
                continue
            try:
                self._set(**{name: value})
            except TypeError as error:
                raise ConfigurationError(
                    "invalid_param",
                    f"{name} of {type(self).__name__} has the wrong type: {error}",
                    self.getParam(name).doc,
                ) from error
        return self

    def _set(self, **kwargs: Any) -> Any:
        super()._set(**kwargs)
        self._unpack()
        return self

    def set(self, param: Any, value: Any) -> None:
        """Set a Param of this instance; see PySpark's ``Params.set``."""
        super().set(param, value)
        self._unpack()

    def _unpack(self) -> None:
        """Replace a grid's `StandIn` by its learner in all Params."""
        for key, value in self._paramMap.items():
            if isinstance(value, StandIn):
                self._paramMap[key] = value.value

    @contextmanager
    def _with_hint(self) -> Iterator[None]:
        """Give an error that begins with the name of a Param, and has no hint, its description."""
        try:
            yield
        except SparkMLDistError as error:
            name = error.message.partition(" ")[0]
            if not error.hint and self.hasParam(name):
                error.hint = f"{name}: {self.getParam(name).doc}."
            raise

    def _value(self, declared: Any) -> Any:
        """Return the value of a Param, or None when it has none."""
        return self.getOrDefault(declared) if self.isDefined(declared) else None


def _declared(cls: type) -> dict[str, Any]:
    """Return the Params of a class, its own first."""
    found: dict[str, Any] = {}
    for base in cls.__mro__:
        found |= {n: p for n, p in vars(base).items() if isinstance(p, Param) and n not in found}
    return found


def _getter(name: str, doc: str) -> Any:
    def get(self: Any) -> Any:
        return self._value(self.getParam(name))

    get.__doc__ = f"Return {name}, or None where it is not set: {doc}"
    get.__name__ = f"get{name[0].upper()}{name[1:]}"
    return get


def _setter(name: str, doc: str) -> Any:
    def set_(self: Any, value: Any) -> Any:
        return self.setParams(**{name: value})

    set_.__doc__ = f"Set {name}: {doc}"
    set_.__name__ = f"set{name[0].upper()}{name[1:]}"
    return set_


class HasColumns(HasFeaturesCol, HasLabelCol, HasWeightCol):
    """The roles of the training data's columns."""

    featuresCols: Any = param(
        "featuresCols",
        "feature columns, by name or glob; the column featuresCol when it exists, or else every "
        "column without another role, when not set",
        TypeConverters.toListString,
    )
    categoricalCols: Any = param(
        "categoricalCols",
        "feature columns, by name or glob, that hold categories",
        TypeConverters.toListString,
    )
    keyCol: Any = param(
        "keyCol",
        "column that identifies a row; a hash of the row's content when not set",
        TypeConverters.toString,
    )


class HasShards(Params):
    """How `fit` partitions a DataFrame."""

    numShards: Any = param("numShards", "number of shards (>= 1)", TypeConverters.toInt)
    memoryPerTask: Any = param(
        "memoryPerTask",
        "memory of a task beyond its interpreter, like '512m'; sizes the shards when numShards "
        "is not set",
        TypeConverters.toString,
    )
    shardsDir: Any = param(
        "shardsDir",
        "folder where fit keeps the shards that it writes; a temporary one when not set",
        TypeConverters.toString,
    )


class HasModelDir(Params):
    """Folder of the model's files."""

    modelDir: Any = param(
        "modelDir",
        "folder where fit writes the model's files, reachable by the driver and all workers; a "
        "temporary one when not set",
        TypeConverters.toString,
    )
    overwrite: Any = param(
        "overwrite", "whether fit may replace what is in modelDir", TypeConverters.toBoolean
    )
    resume: Any = param(
        "resume",
        "whether fit resumes an earlier run with the same plan in modelDir",
        TypeConverters.toBoolean,
    )


class HasClassColumns(HasProbabilityCol, HasRawPredictionCol):
    """Names of the columns that a classifier adds; an empty name omits a column."""

    predictedLabelCol: Any = param(
        "predictedLabelCol",
        "column for the predicted class itself, where prediction is its position in the class list",
        TypeConverters.toString,
    )


class HasCommonParams(
    AccessibleParams, HasColumns, HasShards, HasModelDir, HasPredictionCol, HasSeed
):
    """The Params of every estimator over shards."""
