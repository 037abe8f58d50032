"""The silos that take part in a computation: the same ones in every round."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

from sparkml_dist.cluster.sums.layout import Arrays
from sparkml_dist.errors import ConfigurationError, DataError
from sparkml_dist.federated.message import Message
from sparkml_dist.federated.works import work_of

__all__ = ["Pool", "over_same_silos"]

Result = TypeVar("Result")


# Of one silo, in the words of a secure sum.
_MOST_ROWS = 1 << 40


class _SilosLost(Exception):
    def __init__(self, names: list[str]) -> None:
        self.names = names
        super().__init__(names)


class Pool:
    """Sums over the silos of a federation, round by round, over the same silos.

    The first round decides who takes part. A silo that fails later makes the computation begin
    again without it, see `over_same_silos`: a sum over other silos in the middle of an iteration
    would lead nowhere.

    Parameters
    ----------
    federation : Federation
    silos : list of str
        Who is asked.
    least : int
        Fewest silos that must answer.
    secure : SecureSum, optional
        The coordinator sees masked sums only. Its range must hold each silo's sums.

    Attributes
    ----------
    silos : list of str
    rounds : int
    failed : dict of str to str
        What went wrong in silos that do not take part.
    """

    def __init__(self, federation: Any, silos: list[str], least: int, secure: Any = None) -> None:
        self.federation = federation
        self.silos = silos
        self.rounds = 0
        self.failed: dict[str, str] = {}
        self.secure = secure
        self._least = least
        self._begin = federation.round

    @property
    def schema(self) -> Any:
        """The schema that the silos agreed on."""
        return self.federation.schema

    def sum(
        self,
        kind: str,
        facts: Mapping[str, Any],
        arrays: Mapping[str, Any] | None = None,
        *,
        own: Mapping[str, Any] | None = None,
        finite: bool = True,
    ) -> Arrays:
        """Return the sums of all silos' arrays: int64 for counts, otherwise float64.

        Parameters
        ----------
        kind : str
            Name of the work.
        facts : mapping
            JSON values.
        arrays : mapping of str to ndarray, optional
        own : mapping of str to (dict, dict), optional
            Facts and arrays that only one silo gets.
        finite : bool, default=True
            Whether sums that are not finite are refused.

        Raises
        ------
        DataError
            ``silo_not_finite`` where the sum has values that are not finite.
        """
        request = Message(kind, 0, "coordinator", dict(facts), dict(arrays or {}))
        declared = work_of(kind).declare(request, self.schema).arrays
        whole = [name for name, (dtype, _) in declared.items() if dtype[0] in "iu"]
        found = self.federation.sum(
            kind,
            request.facts,
            request.arrays,
            silos=self.silos,
            own={name: own[name] for name in self.silos} if own else None,
            minimum=self._least,
            secure=self.secure,
            ranges=self._ranges(whole),
        )
        self._answered(list(found.silos), found.failed)
        sums = {}
        for name, value in found.arrays.items():
            if finite and not np.isfinite(value).all():
                raise DataError(
                    "silo_not_finite",
                    f"The sum {name!r} of the silos {', '.join(self.silos)} is not finite.",
                    "Ask each silo alone which of them answers so.",
                )
            sums[name] = np.rint(value).astype(np.int64) if name in whole else np.asarray(value)
        return sums

    def _ranges(self, whole: list[str]) -> dict[str, float] | None:
        """Return the most that a silo counts in a secure sum; floats have the range of the sum."""
        if self.secure is None:
            return None
        most = 2 ** (getattr(self.secure, "bits", 64) - 2) // len(self.federation.names)
        return dict.fromkeys(whole, float(min(most, _MOST_ROWS)))

    def ask(
        self, kind: str, facts: Mapping[str, Any], arrays: Mapping[str, Any] | None = None
    ) -> list[tuple[str, Any]]:
        """Return the answer of each silo; not for secure sums.

        Raises
        ------
        ConfigurationError
            ``conflicting_params`` with secure sums.
        """
        if self.secure is not None:
            raise ConfigurationError(
                "conflicting_params",
                f"The work {kind!r} needs the answer of each silo, which a secure sum hides.",
                "Leave secure out, or choose a form of the statistic that only adds up.",
            )
        replies = self.federation.ask(
            kind, dict(facts), dict(arrays or {}), silos=self.silos, minimum=self._least
        )
        found = list(replies)
        self._answered([name for name, _ in found], replies.failed)
        return found

    def _answered(self, silos: list[str], failed: Mapping[str, Any]) -> None:
        gone = [name for name in self.silos if name not in silos]
        for name in gone:
            why = failed.get(name)
            self.failed[name] = "" if why is None else f"{why.code}: {why.message}"
        if gone and self.rounds:
            raise _SilosLost(gone)
        self.rounds += 1
        self.silos = silos

    def facts(self) -> dict[str, Any]:
        """Return who took part, in how many rounds, and the bytes that left a silo in a round."""
        ledger = self.federation.audit()
        left = ledger[(ledger["round"] >= self._begin) & (ledger["direction"] == "answer")]
        return {
            "silos": list(self.silos),
            "rounds": self.rounds,
            "failed": dict(self.failed),
            "bytes_per_silo_round": float(left["bytes"].mean()),
        }


def over_same_silos(
    federation: Any,
    compute: Callable[[Pool], Result],
    *,
    minimumSilos: int | None = None,
    secure: Any = None,
) -> Result:
    """Return what a computation finds over silos that answer in all of its rounds.

    Parameters
    ----------
    federation : Federation
    compute : callable
        Takes a `Pool`; called again, without silos that failed in the middle.
    minimumSilos : int, optional
        Fewest silos; all of them by default, so that no silo is left out unseen.
    secure : SecureSum, optional

    Raises
    ------
    ConfigurationError
        ``invalid_param``.
    SparkMLDistError
        As the federation, where too few silos answer.
    """
    _ = federation.schema  # the silos agree, or some are left out
    names = list(federation.names)
    least = len(names) if minimumSilos is None else minimumSilos
    if not 1 <= least <= len(names):
        raise ConfigurationError(
            "invalid_param",
            f"minimumSilos must be from 1 to {len(names)}, the number of silos. Got {least}.",
        )
    failed: dict[str, str] = {}
    while True:
        pool = Pool(federation, names, least, secure)
        pool.failed.update(failed)
        try:
            return compute(pool)
        except _SilosLost as lost:
            failed = pool.failed
            names = [name for name in pool.silos if name not in lost.names]
