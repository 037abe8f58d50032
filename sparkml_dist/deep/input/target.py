"""The target of a network; imports no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkml_dist.dataset.labels import Label
from sparkml_dist.dataset.schema import FeatureSchema
from sparkml_dist.deep.input.columns import find_columns
from sparkml_dist.deep.input.inputs import InputPart
from sparkml_dist.errors import ConfigurationError

__all__ = ["Target", "TargetPart", "target_names", "target_parts"]

_PREFIX = "target/"


@dataclass(frozen=True)
class TargetPart:
    """The target of one output of a network.

    Attributes
    ----------
    output : str
        Name of the output; empty for a single output.
    columns : tuple of int
        Positions of the features that form it; empty for the label.
    """

    output: str
    columns: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """Name of the part among a batch's arrays."""
        return _PREFIX + self.output


@dataclass(frozen=True)
class Target:
    """The target of a network.

    Attributes
    ----------
    n_classes : int
        Number of classes of the label; 0 for a regression.
    parts : tuple of TargetPart
        Target of each output of a `KerasEstimator`. Empty for a classifier or a regressor, whose
        output is compared with the label.
    """

    n_classes: int
    parts: tuple[TargetPart, ...] = ()

    @classmethod
    def of(cls, label: Label, parts: tuple[TargetPart, ...] = ()) -> Target:
        """Return the target for a data set's label and further parts."""
        return cls(len(label.classes), parts)

    @property
    def is_regression(self) -> bool:
        """Whether the label is a real number."""
        return self.n_classes == 0

    def arrays(self) -> tuple[InputPart, ...]:
        """Return the parts that are features, in the form of network inputs."""
        return tuple(
            InputPart(p.name, p.columns, (len(p.columns),)) for p in self.parts if p.columns
        )


def target_names(spec: Any) -> dict[str, list[str]]:
    """Return the target columns of each output in a user's specification.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    named = spec if isinstance(spec, Mapping) else {"": spec}
    found = {
        str(output): [columns] if isinstance(columns, str) else list(columns)
        for output, columns in named.items()
        if isinstance(columns, str | Sequence)
    }
    good = len(found) == len(named) > 0 and all(
        names and all(isinstance(n, str) and n for n in names) for names in found.values()
    )
    if not good:
        raise ConfigurationError(
            "invalid_param",
            "targets must be a column, a list of columns, or a mapping from the names of the "
            f"model's outputs to columns. Got {spec!r}.",
        )
    return found


def target_parts(
    names: Mapping[str, Sequence[str]], schema: FeatureSchema, label: str
) -> tuple[TargetPart, ...]:
    """Return the targets of all outputs, with the positions of their columns.

    Parameters
    ----------
    names : mapping of str to sequence of str
        Value of `target_names`.
    schema : FeatureSchema
    label : str
        Name of the label column.

    Raises
    ------
    ConfigurationError
        ``mixed_targets`` for an output with both the label and features as its target.
    DataError
        ``column_not_found``.
    """
    parts = []
    for output, columns in names.items():
        if list(columns) == [label]:
            parts.append(TargetPart(output))
            continue
        if label in columns:
            raise ConfigurationError(
                "mixed_targets",
                f"targets: the label column {label!r} must be the only one of an output. "
                f"Got {', '.join(columns)}.",
                "Set labelCol to another column; targets of several columns must be features.",
            )
        role = f"target of output {output!r}" if output else "target"
        parts.append(TargetPart(output, find_columns(schema, role, columns)))
    return tuple(parts)
