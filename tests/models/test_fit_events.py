"""Fits as events: told once each, whatever happens inside of them."""

from __future__ import annotations

import threading

import pytest
from pyspark.ml.param import TypeConverters

from sparkml_dist.models.fit_events import (
    add_fit_listener,
    inside_fit,
    note_shards,
    remove_fit_listener,
)
from sparkml_dist.models.saved_params import SavedParams
from sparkml_dist.params import constructor, param


class Doubling(SavedParams):
    """Fits the double of a number, or of what another one fits."""

    factor = param("factor", "what to multiply with", TypeConverters.toInt)

    @constructor
    def __init__(self, *, factor: int = 2) -> None: ...

    def _fit(self, dataset):
        if isinstance(dataset, list):
            return [Doubling().fit(n) for n in dataset]
        note_shards(f"shards of {dataset}")
        return self.getOrDefault(self.factor) * dataset


class Listener:
    def __init__(self, *, fails=False):
        self.told = []
        self.fails = fails

    def began(self, fit):
        self.told.append(("began", fit.estimator.getFactor(), fit.dataset))
        if self.fails:
            raise RuntimeError("no server")

    def ended(self, fit):
        self.told.append(("ended", fit.shards, fit.model))

    def failed(self, fit, error):
        self.told.append(("failed", type(error).__name__))


@pytest.fixture
def listener():
    found = Listener()
    add_fit_listener(found)
    yield found
    remove_fit_listener(found)


def test_a_fit_is_told(listener):
    assert Doubling().fit(3) == 6
    assert listener.told == [("began", 2, 3), ("ended", "shards of 3", 6)]


def test_params_of_the_call_are_those_of_the_fit(listener):
    estimator = Doubling()
    assert estimator.fit(3, {estimator.factor: 5}) == 15
    assert listener.told[0] == ("began", 5, 3)
    assert estimator.getFactor() == 2


def test_several_fits_are_an_event_each(listener):
    estimator = Doubling()
    assert estimator.fit(3, [{estimator.factor: 5}, {estimator.factor: 7}]) == [15, 21]
    assert sorted(told for told in listener.told if told[0] == "began") == [
        ("began", 5, 3),
        ("began", 7, 3),
    ]


def test_fits_inside_a_fit_are_part_of_it(listener):
    assert Doubling().fit([1, 2]) == [2, 4]
    assert listener.told == [("began", 2, [1, 2]), ("ended", "shards of 1", [2, 4])]


def test_fits_in_other_threads_of_a_fit(listener):
    def trial():
        with inside_fit(Doubling()):
            Doubling().fit(4)

    thread = threading.Thread(target=trial)
    thread.start()
    thread.join()
    assert listener.told == []
    Doubling().fit(1)
    assert len(listener.told) == 2


def test_an_error_is_told_and_raised(listener):
    with pytest.raises(TypeError):
        Doubling().fit(None)
    assert [told[0] for told in listener.told] == ["began", "failed"]
    assert Doubling().fit(1) == 2  # and the next one is an event again
    assert listener.told[-1][0] == "ended"


def test_a_listener_that_fails_is_a_warning(caplog):
    failing, other = Listener(fails=True), Listener()
    for each in (failing, other):
        add_fit_listener(each)
    try:
        assert Doubling().fit(3) == 6
    finally:
        for each in (failing, other):
            remove_fit_listener(each)
    assert "a fit was not recorded: no server" in caplog.text
    assert [told[0] for told in failing.told] == ["began"]  # it does not know of the fit
    assert [told[0] for told in other.told] == ["began", "ended"]


def test_nobody_listens():
    assert Doubling().fit(3) == 6
