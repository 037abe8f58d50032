"""Proposes trials over families: what is good elsewhere first, then what pays here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sparkml_dist.automl.families.family import Family
from sparkml_dist.automl.family_choice import FamilyChoice
from sparkml_dist.search.dimensions import Point
from sparkml_dist.search.samplers.making import make_sampler
from sparkml_dist.search.samplers.sampler import Sampler
from sparkml_dist.search.space import Setting

__all__ = ["FamilySampler"]

_FAMILY, _AT = "family", "setting "


class FamilySampler(Sampler):
    """Proposes a family and a setting for each trial.

    Each family begins with the first setting of its portfolio. From then on families are drawn by
    `FamilyChoice`; one that is drawn goes on with its portfolio, and then with its own sampler,
    which knows all results of the family.

    Parameters
    ----------
    families : sequence of Family
        In the order in which they begin.
    kind : str
        Sampler of each family: ``"tpe"`` or ``"random"``.
    seed : int
    timed : bool
        Whether a trial costs the seconds that it took. Otherwise it costs a constant of its family,
        so that what is proposed depends on losses alone.
    """

    def __init__(self, families: Sequence[Family], kind: str, seed: int, *, timed: bool) -> None:
        spaces = [family.searched() for family in families]
        super().__init__(spaces[0], seed)
        self.families = {family.name: family for family in families}
        self._order = list(self.families)
        self._own = {
            family.name: make_sampler(kind, space, seed + i)
            for i, (family, space) in enumerate(zip(families, spaces, strict=True))
        }
        self._choice = FamilyChoice(self._order)
        self._timed = timed
        self._places: dict[int, tuple[str, int]] = {}
        self._seconds: dict[tuple[int, int], float] = {}

    @property
    def size(self) -> None:
        """Settings cannot be counted."""
        return None

    def spent(self, trial: int, rung: int, seconds: float) -> None:
        """Take note of the seconds that a trial took in a rung; before its loss."""
        self._seconds[trial, rung] = seconds

    def ask(self, number: int) -> Setting:
        """Return the setting of a trial."""
        if number not in self.settings:
            name = self._next(number)
            family, own, place = self.families[name], self._own[name], self._count(name)
            if place < len(family.portfolio):
                setting = own.restore(place, family.points(family.portfolio[place]))
            else:
                setting = own.ask(place)
            self._place(number, name, place, setting)
        return self.settings[number]

    def restore(self, number: int, points: Mapping[str, Point]) -> Setting:
        """Take back a trial of an earlier run."""
        name = self._order[int(points[_FAMILY])]
        place = self._count(name)
        own = {k.removeprefix(_AT): v for k, v in points.items() if k.startswith(_AT)}
        self._place(number, name, place, self._own[name].restore(place, own))
        return self.settings[number]

    def tell(self, number: int, loss: float | None, rung: int = 0) -> None:
        """Take note of a loss of a trial."""
        name, place = self._places[number]
        self._own[name].tell(place, loss, rung)
        record = self._choice.records[name]
        cost = self.families[name].cost
        record.spent += self._seconds.get((number, rung), cost) if self._timed else cost
        # Results of the lowest rung: every trial has one, and they compare.
        if rung == 0:
            record.report(loss)

    def family_of(self, number: int) -> str:
        """Return the family of a trial."""
        return self._places[number][0]

    def _next(self, number: int) -> str:
        begun = {name for name, _ in self._places.values()}
        first = next((name for name in self._order if name not in begun), None)
        return self._choice.draw(self._rng(number)) if first is None else first

    def _count(self, name: str) -> int:
        return sum(1 for known, _ in self._places.values() if known == name)

    def _place(self, number: int, name: str, place: int, setting: Setting) -> None:
        self._places[number] = (name, place)
        points: dict[str, Point] = {_FAMILY: self._order.index(name)}
        points |= {f"{_AT}{k}": v for k, v in setting.points.items()}
        self.settings[number] = Setting(name, setting.params, points)

    def _propose(self, number: int) -> Setting:
        return self.ask(number)
