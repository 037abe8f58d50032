"""The space of a search: which values the parameters of one learner, or of several, may have."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError, SparkMLDistError, nearest
from sparkml_dist.search.dimensions import Choices, Dimension, Point, Quantile
from sparkml_dist.search.known_params import known_params
from sparkml_dist.search.sources import GridSource, RandomSource, Source, next_position
from sparkml_dist.search.space_trial import SpaceTrial, choice, floating, integer

__all__ = ["Setting", "Space"]

_TRIES = 8


@dataclass(frozen=True)
class Setting:
    """A learner and values of its parameters.

    Attributes
    ----------
    estimator : str or None
        Name of the learner, if the search has several.
    params : dict
        Values by parameter, for ``set_params``.
    points : dict of str to number
        What `Space.setting` makes the same values from; JSON.
    """

    estimator: str | None
    params: dict[str, Any]
    points: dict[str, Point]


class Space:
    """Which values the parameters may have. Use `Space.of`.

    Parameters
    ----------
    branches : mapping of str or None to branch
        By learner; the one key is None if there is one learner.
    """

    def __init__(self, branches: Mapping[str | None, _Listed | _Defined]) -> None:
        self._branches = dict(branches)
        self._names = list(self._branches)

    @classmethod
    def of(cls, space: Any, learner: Any) -> Space:
        """Return the space that a user describes, checked against the learners.

        Parameters
        ----------
        space : dict, list of dict, or function
            A dict gives each parameter a list of values, a frozen distribution of SciPy's or a
            distribution of Optuna's. A list of dicts holds alternatives. A function is called with
            a `SpaceTrial` and asks for values; it returns None, or a dict of the parameters.
            For several learners, a dict gives the space of each by name (those left out have no
            parameters to search), or one function is called with the ``trial.estimator`` chosen.
        learner : estimator, or list of (str, estimator)
            Learners whose parameters are searched.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` if the space is empty or contradictory,
            ``unknown_estimator_parameter``, ``unknown_estimator`` if the space is for a learner
            that is not there, or ``space_failed`` if the function raises.
        """
        if not isinstance(learner, list | tuple):
            return cls({None: _branch(space, learner, "space")})._checked()
        named = dict(learner)
        if callable(space):
            return cls({name: _Defined(space, one) for name, one in named.items()})._checked()
        if not isinstance(space, Mapping):
            raise ConfigurationError(
                "invalid_param",
                "With several estimators, space must be a dict of their spaces, or a function. "
                f"Got {type(space).__name__}.",
            )
        for name in space:
            if name not in named:
                raise ConfigurationError(
                    "unknown_estimator",
                    f"space[{name!r}] is for none of the estimators.{nearest(str(name), named)}",
                    f"Estimators are: {', '.join(named)}.",
                )
        return cls(
            {
                name: _branch(space[name], one, f"space[{name!r}]", may_be_empty=True)
                if name in space
                else _Listed([{}])
                for name, one in named.items()
            }
        )._checked()

    def _checked(self) -> Space:
        """Draw from each branch, so that a function that fails does so before the first job."""
        for name, branch in self._branches.items():
            for number in range(_TRIES if isinstance(branch, _Defined) else 1):
                branch.draw(_Recorded(RandomSource(np.random.default_rng(number))), "", name)
        return self

    def draw(self, source: Source) -> Setting:
        """Return the setting whose points a source gives."""
        recorded = _Recorded(source)
        name, params = self._through(recorded)
        return Setting(name, params, recorded.points)

    def _through(self, source: Source, *, make: bool = True) -> tuple[str | None, dict[str, Any]]:
        """Ask for the learner, then for its parameters; return their values if `make`."""
        name, prefix = self._names[0], ""
        if len(self._names) > 1:
            name = self._names[int(source.take("estimator", Choices(tuple(self._names))))]
            prefix = f"{name}."
        branch = self._branches[name]
        if make or isinstance(branch, _Defined):
            return name, branch.draw(source, prefix, name)
        branch.take(source, prefix)
        return name, {}

    def walk(self, source: Source) -> dict[str, Point]:
        """Return the points that a source gives, without making values of them where it can."""
        recorded = _Recorded(source)
        self._through(recorded, make=False)
        return recorded.points

    def random(self, rng: np.random.Generator) -> Setting:
        """Return a random setting: each parameter from its distribution, lists uniformly."""
        return self.draw(RandomSource(rng))

    def grid(self) -> Iterator[Setting]:
        """Yield every setting once, in the order of scikit-learn's ``ParameterGrid``.

        Raises
        ------
        ConfigurationError
            ``invalid_param`` if a parameter is not a list.
        """
        position: list[int] | None = []
        while position is not None:
            source = GridSource(position)
            yield self.draw(source)
            position = next(next_position(source), None)

    def size(self, most: int = 100_000) -> int | None:
        """Return the number of settings; None if they cannot be counted, or are more than `most`.

        Parameters
        ----------
        most : int, default=100000
        """
        sizes = [branch.size() for branch in self._branches.values()]
        if any(n == 0 for n in sizes):  # a function's, to be counted one by one
            return self._counted(most)
        total = sum(n for n in sizes if n is not None)
        return None if None in sizes or total > most else total

    def _counted(self, most: int) -> int | None:
        try:
            for count, _ in enumerate(self.grid(), start=1):
                if count > most:
                    return None
        except ConfigurationError:
            return None
        return count


class _Recorded:
    """A source that keeps the points it gave."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.points: dict[str, Point] = {}

    def take(self, name: str, dimension: Dimension) -> Point:
        self.points[name] = self._source.take(name, dimension)
        return self.points[name]


class _Listed:
    """Alternative dicts of dimensions, of which a setting has one."""

    def __init__(self, alternatives: Sequence[Mapping[str, Dimension]]) -> None:
        # Sorted, as scikit-learn's ParameterGrid has them.
        self._alternatives = [dict(sorted(one.items())) for one in alternatives]

    def draw(self, source: Source, prefix: str, name: str | None) -> dict[str, Any]:
        taken = self.take(source, prefix)
        return {key: dimension.value(point) for key, (dimension, point) in taken.items()}

    def take(self, source: Source, prefix: str) -> dict[str, tuple[Dimension, Point]]:
        at = 0
        if len(self._alternatives) > 1:
            at = int(source.take(f"{prefix}alternative", Choices(tuple(self._alternatives))))
            prefix = f"{prefix}{at}."
        return {
            key: (dimension, source.take(prefix + key, dimension))
            for key, dimension in self._alternatives[at].items()
        }

    def size(self) -> int | None:
        total = 0
        for one in self._alternatives:
            product = 1
            for dimension in one.values():
                if dimension.size is None:
                    return None
                product *= dimension.size
            total += product
        return total


class _Defined:
    """A function that asks for parameters."""

    def __init__(self, function: Callable[[SpaceTrial], Any], learner: Any) -> None:
        self._function = function
        self._known = known_params(learner)

    def draw(self, source: Source, prefix: str, name: str | None) -> dict[str, Any]:
        trial = SpaceTrial(source, prefix, name)
        try:
            found = self._function(trial)
        except SparkMLDistError:
            raise
        except Exception as error:
            raise ConfigurationError(
                "space_failed",
                f"The function of the space raises {type(error).__name__}: {error}",
                "Call it on its own with an optuna.trial.FixedTrial.",
            ) from error
        if found is not None and not isinstance(found, Mapping):
            raise ConfigurationError(
                "invalid_param",
                "The function of the space must return None or a dict of parameters. "
                f"Got {type(found).__name__}.",
            )
        params = trial.params if found is None else dict(found)
        _refuse_unknown(params, self._known, "space")
        return params

    def size(self) -> int | None:
        return 0


def _branch(
    space: Any, learner: Any, what: str, *, may_be_empty: bool = False
) -> _Listed | _Defined:
    if callable(space):
        return _Defined(space, learner)
    alternatives = [space] if isinstance(space, Mapping) else space
    if not isinstance(alternatives, list | tuple) or not all(
        isinstance(one, Mapping) for one in alternatives
    ):
        raise ConfigurationError(
            "invalid_param",
            f"{what} must be a dict, a list of dicts or a function. Got {type(space).__name__}.",
        )
    if not alternatives or not (may_be_empty or any(alternatives)):
        raise ConfigurationError(
            "invalid_param",
            f"{what} has no parameters.",
            "Give it one or more, such as {'max_depth': [3, 6, 9]}.",
        )
    known = known_params(learner)
    for one in alternatives:
        _refuse_unknown(one, known, what)
    return _Listed(
        [{key: dimension_of(key, values) for key, values in one.items()} for one in alternatives]
    )


def _refuse_unknown(params: Mapping[str, Any], known: Sequence[str], what: str) -> None:
    for name in params:
        if name not in known:
            raise ConfigurationError(
                "unknown_estimator_parameter",
                f"{what} names {name!r}, which the estimator lacks.{nearest(str(name), known)}",
                f"Its parameters are: {', '.join(known[:20])}{', …' if len(known) > 20 else ''}.",
            )


def dimension_of(name: str, values: Any) -> Dimension:
    """Return the dimension that a list, or a distribution of SciPy's or Optuna's, describes.

    A dimension is returned as it is.

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    """
    if isinstance(values, Dimension):
        return values
    if isinstance(values, list | tuple | range) or (
        isinstance(values, np.ndarray) and values.ndim == 1
    ):
        return choice(name, list(values))
    if hasattr(values, "ppf") and hasattr(values, "rvs"):
        if np.isnan(values.ppf(0.5)):
            raise ConfigurationError(
                "invalid_param",
                f"space[{name!r}]: the distribution has no median; its parameters contradict "
                "each other.",
                "Look at the loc, scale and shape that it is given.",
            )
        return Quantile(values)
    if type(values).__module__ == "optuna.distributions":
        if hasattr(values, "choices"):
            return choice(name, values.choices)
        whole = isinstance(values.low, int)
        if whole:
            return integer(name, values.low, values.high, step=values.step, log=values.log)
        return floating(name, values.low, values.high, step=values.step, log=values.log)
    raise ConfigurationError(
        "invalid_param",
        f"space[{name!r}] must be a list of values, or a frozen distribution of SciPy's or "
        f"Optuna's. Got {type(values).__name__}.",
        f"Write [{values!r}] for a single value." if np.isscalar(values) else "",
    )
