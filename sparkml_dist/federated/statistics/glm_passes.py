"""The passes of fits of linear models, as JSON values and arrays: what travels instead of code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparkml_dist.errors import ConfigurationError
from sparkml_dist.federated.statistics.symmetric import packed, packed_size, unpacked
from sparkml_dist.statistics.design import Design
from sparkml_dist.statistics.families import Family
from sparkml_dist.statistics.fit_multinomial import ClassPass
from sparkml_dist.statistics.glm_sums import GlmPass, LogLikelihood
from sparkml_dist.statistics.moments import Moments, feature_means
from sparkml_dist.statistics.overdispersion import ShapePass
from sparkml_dist.statistics.robust import ClusterScores, Meat
from sparkml_dist.statistics.tsqr import QrPass

__all__ = ["PASSES", "PassForm", "described", "form_of", "function_of"]

Array = npt.NDArray[np.float64]
Shape = tuple[int, ...]

_STEP = ("bad", "deviance", "information", "pearson")
_MOMENTS = ("invalid", "not_finite", "offsets", "rows", "used", "weight", "y")
_SYMMETRIC = ("gram", "meat")
#: Names of the passes that a silo knows, and of the arrays that are their parameters.
PASSES: dict[str, tuple[str, ...]] = {
    "means": (),
    "moments": (),
    "step": ("beta",),
    "triangle": ("beta",),
    "likelihood": ("beta",),
    "meat": ("beta", "root"),
    "silo_scores": ("beta",),
    "shape": ("beta", "shape"),
    "classes": ("beta",),
}


@dataclass(frozen=True)
class PassForm:
    """What a pass answers: numbers of these names in one array, and arrays of these shapes.

    Attributes
    ----------
    scalars : tuple of str
        In the order of the array ``scalars``.
    arrays : dict of str to tuple of int
        Shapes; symmetric matrices are packed.
    """

    scalars: tuple[str, ...]
    arrays: Mapping[str, Shape]

    def declared(self) -> dict[str, tuple[str, Shape]]:
        """Return types and shapes of the arrays of an answer."""
        found: dict[str, tuple[str, Shape]] = {n: ("f8", s) for n, s in self.arrays.items()}
        if self.scalars:
            found["scalars"] = ("f8", (len(self.scalars),))
        return found

    def encode(self, sums: Mapping[str, Any]) -> dict[str, Array]:
        """Return a silo's sums as the arrays of an answer; zeros for no rows."""
        if not sums:
            return {name: np.zeros(shape) for name, (_, shape) in self.declared().items()}
        found = {}
        for name in self.arrays:
            value = np.asarray(sums[name], np.float64)
            found[name] = packed(value) if name in _SYMMETRIC else value
        if self.scalars:
            found["scalars"] = np.asarray([float(sums[name]) for name in self.scalars])
        return found

    def decode(self, arrays: Mapping[str, Array]) -> dict[str, Any]:
        """Return the sums of all silos as the solvers take them."""
        found: dict[str, Any] = {
            name: unpacked(arrays[name]) if name in _SYMMETRIC else arrays[name]
            for name in self.arrays
        }
        if self.scalars:
            found.update(zip(self.scalars, arrays["scalars"], strict=True))
        return found


def described(function: Any, parameters: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a pass as facts and arrays of a request.

    Parameters
    ----------
    function : callable
        A pass of `sparkml_dist.statistics`.
    parameters : sequence
        Of the pass; None is left out.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` for a pass that silos do not know.
    """
    more: dict[str, Any] = {}
    step = function.step if isinstance(function, QrPass) else function
    if function is feature_means:
        name = "means"
    elif isinstance(function, Moments):
        name = "moments"
    elif isinstance(function, QrPass):
        name, more = "triangle", {"mean": step.mean, "silos": function.shards}
    elif isinstance(function, GlmPass):
        name, more = "step", {"mean": function.mean, "gram": function.gram}
    elif isinstance(function, LogLikelihood):
        name, more = "likelihood", {"mean": function.mean, "dispersion": function.dispersion}
    elif isinstance(function, Meat):
        name, more = "meat", {"type": function.kind, "frequency": function.frequency}
    elif isinstance(function, ClusterScores):
        name, more = "silo_scores", {"silos": len(function.clusters)}
    elif isinstance(function, ShapePass):
        name = "shape"
    elif isinstance(function, ClassPass):
        name, more = "classes", {"classes": function.classes, "gram": function.gram}
    else:
        raise ConfigurationError(
            "invalid_param",
            f"Silos know no pass {type(function).__name__}.",
            'Use solver="newton".',
        )
    facts: dict[str, Any] = {"pass": name, **more}
    arrays: dict[str, Any] = {}
    for key, value in zip(PASSES[name], parameters, strict=True):
        if value is not None:
            arrays[key] = np.asarray(value, np.float64)
    design = getattr(step, "design", None)
    if design is not None:
        facts["dropped"] = list(design.dropped)
        if design.centre:
            arrays["centre"] = np.asarray(design.centre)
        if design.means:
            arrays["means"] = np.asarray(design.means)
    family = getattr(step, "family", None)
    if family is not None:
        facts["family"] = family.to_dict()
    return facts, arrays


def function_of(facts: Mapping[str, Any], design: Design) -> Any:
    """Return the pass that a request describes.

    Parameters
    ----------
    facts : mapping
    design : Design
    """
    name = facts["pass"]
    if name == "means":
        return feature_means
    if name == "classes":
        return ClassPass(design, int(facts["classes"]), bool(facts["gram"]))
    family = Family.from_dict(facts["family"])
    match name:
        case "moments":
            return Moments(design, family)
        case "step":
            return GlmPass(design, family, float(facts["mean"]), bool(facts["gram"]))
        case "triangle":
            step = GlmPass(design, family, float(facts["mean"]))
            return QrPass(step, int(facts["silos"]))
        case "likelihood":
            mean, dispersion = float(facts["mean"]), float(facts["dispersion"])
            return LogLikelihood(design, family, mean, dispersion)
        case "meat":
            return Meat(design, family, str(facts["type"]), bool(facts["frequency"]))
        case "silo_scores":
            return ClusterScores(design, family, np.arange(int(facts["silos"])))
        case _:
            return ShapePass(design, family)


def form_of(facts: Mapping[str, Any], arrays: Mapping[str, Any], design: Design) -> PassForm:
    """Return the form of the answer to a request.

    Raises
    ------
    ConfigurationError
        ``invalid_param`` for a pass that is not known.
    """
    p = len(design.terms)
    match facts["pass"]:
        case "means":
            return PassForm((), {"sum": (len(design.names),), "rows": (len(design.names),)})
        case "moments":
            return PassForm(_MOMENTS, {"x": (p,), "xx": (p,)})
        case "step" | "triangle" as name:
            scalars = _STEP if "beta" in arrays else (*_STEP, "null_deviance")
            shapes: dict[str, Shape] = {"score": (p,)}
            if name == "triangle":
                shapes["triangles"] = (int(facts["silos"]), p, p)
            elif facts["gram"]:
                shapes["gram"] = (packed_size(p),)
            return PassForm(scalars, shapes)
        case "likelihood":
            return PassForm(("model", "null", "null_deviance"), {})
        case "meat":
            return PassForm(("alone",), {"meat": (packed_size(p),)})
        case "silo_scores":
            return PassForm((), {"scores": (int(facts["silos"]), p)})
        case "shape":
            return PassForm(("score", "information"), {})
        case "classes":
            others = int(facts["classes"]) - 1
            shapes = {"score": (others, p), "classes": (others + 1,)}
            if facts["gram"]:
                shapes["gram"] = (packed_size(others * p),)
            return PassForm(("bad", "deviance", "pearson"), shapes)
    raise ConfigurationError(
        "invalid_param", f"There is no pass {facts['pass']!r}.", f"Passes are {', '.join(PASSES)}."
    )
