"""What a silo lets out: kinds of work, sizes, and only what a work has declared."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from sparkml_dist.errors import ConfigurationError, TrainingError, nearest
from sparkml_dist.federated.answer import Answer, Declaration

__all__ = ["SiloPolicy", "check_answer", "refused"]

# Works of the first rounds, without which a silo takes part in nothing.
_ALWAYS = ("schema", "agree")
# Rounds of a secure sum that tell nothing of rows.
_OF_SUMS = ("secure_keys", "secure_shares", "secure_unmask")


@dataclass(frozen=True)
class SiloPolicy:
    """The rules of one silo, set by its owner.

    Parameters
    ----------
    kinds : frozenset of str, optional
        Works that the silo does; all that the library has by default.
    most_bytes : int, default=256 MiB
        Most bytes of one answer.
    most_request_bytes : int, default=256 MiB
        Most bytes of one request.
    most_rounds : int, optional
        Number of rounds of one run that are answered.
    most_runs : int, optional
        Number of runs that the silo takes part in, as long as it keeps its folder.
    least_rows : int, default=0
        A silo with fewer rows answers nothing, not even its schema.
    least_count : int, default=1
        Fewest rows of a cell of a table, of a group or of a statistic; smaller ones stay in the
        silo.
    tell_rows : bool, default=True
        Whether the coordinator learns the number of rows in the schema round.
    secure_only : bool, default=False
        Whether arrays that may be summed leave only in a secure sum, masked.
    least_silos : int, default=3
        Fewest silos of a secure sum that this silo takes part in.
    most_epsilon : float, optional
        Privacy loss of all runs together beyond which no answer leaves. With it, nothing leaves
        without noise that is counted, except schema and number of rows.
    tell_errors : bool, default=False
        Whether messages of errors, which may quote values of the data, leave with their codes.
    """

    kinds: frozenset[str] | None = None
    most_bytes: int = 256 << 20
    most_request_bytes: int = 256 << 20
    most_rounds: int | None = None
    most_runs: int | None = None
    least_rows: int = 0
    least_count: int = 1
    tell_rows: bool = True
    secure_only: bool = False
    least_silos: int = 3
    most_epsilon: float | None = None
    tell_errors: bool = False

    @classmethod
    def from_dict(cls, value: Any) -> SiloPolicy:
        """Return the policy that a JSON document describes, with the fields' names.

        Raises
        ------
        ConfigurationError
            ``invalid_param``.
        """
        defaults = {f.name: getattr(cls(), f.name) for f in fields(cls)}
        if not isinstance(value, dict):
            raise ConfigurationError("invalid_param", "A policy must be a JSON object.")
        for name, found in value.items():
            if name not in defaults:
                raise ConfigurationError(
                    "invalid_param",
                    f"A silo's policy has no {name!r}.{nearest(name, defaults)}",
                    f"It has {', '.join(defaults)}.",
                )
            if not _fits(name, found):
                raise ConfigurationError(
                    "invalid_param", f"{name} of a silo's policy cannot be {found!r}."
                )
        kinds = value.get("kinds")
        return cls(**{**value, "kinds": None if kinds is None else frozenset(kinds)})

    def check_request(self, kind: str, round: int, rows: int, *, summable: bool) -> None:  # noqa: A002
        """Raise unless the silo does a work.

        Parameters
        ----------
        kind : str
        round : int
        rows : int
            That the silo has.
        summable : bool
            Whether the work's answers may be summed.

        Raises
        ------
        TrainingError
            ``request_refused``.
        """
        if self.kinds is not None and kind not in (*_ALWAYS, *self.kinds):
            raise refused(f"its policy does not allow the work {kind!r}")
        if rows < self.least_rows:
            raise refused(f"it has fewer than the {self.least_rows} rows that its policy asks for")
        if self.most_rounds is not None and round >= self.most_rounds:
            raise refused(f"its policy allows {self.most_rounds} rounds")
        if self.secure_only and summable:
            raise refused(f"its policy allows the work {kind!r} only in a secure sum")

    def check_without_noise(self, kind: str) -> None:
        """Raise where an answer without counted noise would leave, and the silo has a budget.

        A budget that only counts what is noised would be none: a coordinator could ask for the same
        without noise.

        Raises
        ------
        TrainingError
            ``request_refused``.
        """
        if self.most_epsilon is not None and kind not in (*_ALWAYS, *_OF_SUMS):
            raise refused(
                f"it has a privacy budget, and the answer of the work {kind!r} has no noise"
            )

    def check_epsilon(self, spent: float) -> None:
        """Raise where an answer would exceed the silo's privacy budget.

        Parameters
        ----------
        spent : float
            Sum of the privacy losses of all runs, with this answer.

        Raises
        ------
        TrainingError
            ``request_refused``.
        """
        most = self.most_epsilon
        if most is not None and not spent <= most:
            raise refused(f"the answer would spend ε = {spent:.6g} of the {most:.6g} it allows")


def check_answer(answer: Answer, declared: Declaration, *, exact: bool = False) -> None:
    """Raise unless an answer holds only what its work has declared.

    Silo and coordinator both check, so that rows cannot leave by accident and garbage does not
    arrive.

    Parameters
    ----------
    answer : Answer
    declared : Declaration
    exact : bool, default=False
        Whether each declared array must be there in the declared shape, as in sums.

    Raises
    ------
    TrainingError
        ``answer_refused``.
    """
    for name in answer.facts:
        if name not in declared.facts:
            raise _undeclared(f"the fact {name[:60]!r} is not declared")
    try:
        length = len(json.dumps(dict(answer.facts), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise _undeclared(f"its facts are not JSON ({error})") from error
    if length > declared.fact_bytes:
        raise _undeclared(
            f"its facts have {length:,} bytes, and {declared.fact_bytes:,} are declared"
        )
    if exact and (absent := sorted(set(declared.arrays) - set(answer.arrays))):
        raise _undeclared(f"the array {absent[0]!r} is missing")
    for name, array in answer.arrays.items():
        if name not in declared.arrays:
            raise _undeclared(f"the array {name[:60]!r} is not declared")
        kind, most = declared.arrays[name]
        if array.dtype != np.dtype(kind):
            raise _undeclared(f"the array {name!r} is of {array.dtype}, and {kind} is declared")
        fits = array.ndim == len(most) and all(
            n == m if exact else n <= m for n, m in zip(array.shape, most, strict=True)
        )
        if not fits:
            raise _undeclared(
                f"the array {name!r} has the shape {array.shape}, and {tuple(most)} is declared"
            )
        if declared.finite and array.dtype.kind == "f" and not np.isfinite(array).all():
            raise _undeclared(f"the array {name!r} holds NaN or infinite values")


def _fits(name: str, value: Any) -> bool:
    """Tell whether a value of a policy has the type of its field, and is not negative."""
    if name in ("tell_rows", "secure_only", "tell_errors"):
        return isinstance(value, bool)
    if name == "kinds":
        texts = isinstance(value, list) and all(isinstance(kind, str) for kind in value)
        return value is None or texts
    if value is None:
        return name in ("most_rounds", "most_runs", "most_epsilon")
    kinds = int | float if name == "most_epsilon" else int
    return isinstance(value, kinds) and not isinstance(value, bool) and value >= 0


def refused(why: str) -> TrainingError:
    """Return the error of a silo that does not do what is asked."""
    return TrainingError(
        "request_refused",
        f"The silo refuses the request: {why}.",
        "The silo's owner sets its policy (SiloPolicy).",
    )


def _undeclared(what: str) -> TrainingError:
    return TrainingError(
        "answer_refused",
        f"The answer of a silo is refused: {what}.",
        "The data may have missing values or a wrong type; or the silo's program was changed.",
    )
