"""How long a training waits: from the Params of an estimator to its gang."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from sparkml_dist import DeepEnsembleClassifier, KerasClassifier, KerasRegressor
from sparkml_dist.cluster import gang_training
from sparkml_dist.deep import training
from sparkml_dist.errors import ConfigurationError


def test_the_params_reach_the_gang(tmp_path, monkeypatch):
    from sparkml_dist.deep.params.coupling_settings import CouplingSettings
    from sparkml_dist.persistence.filesystem import Folder

    class Launched(Exception):
        pass

    def run_gang(*args, **options):
        raise Launched(*(options[f"{n}_timeout"] for n in ("stall", "silence", "slot")))

    monkeypatch.setattr(gang_training, "run_gang", run_gang)
    monkeypatch.setattr(training, "resumed_job", lambda job, ranks, store: job)
    monkeypatch.setattr(training, "replace", lambda job, **changes: job)
    job = SimpleNamespace(
        folder=Folder.at(str(tmp_path)), epochs=1, checkpoint=None, coupling=CouplingSettings()
    )
    network = KerasClassifier(stallTimeout=5, silenceTimeout=6, slotTimeout=7.5)
    with pytest.raises(Launched) as caught:
        training.train_network(None, job, 1, **network._timeouts())
    assert caught.value.args == (5.0, 6.0, 7.5)


def test_a_training_may_stand_still_for_ever_where_it_is_told_so():
    assert KerasRegressor(stallTimeout=0)._timeouts()["stall_timeout"] is None
    assert KerasRegressor(silenceTimeout=0)._timeouts()["silence_timeout"] is None
    assert KerasRegressor()._timeouts() == {
        "stall_timeout": 600.0,
        "silence_timeout": 300.0,
        "slot_timeout": 600.0,
    }
    assert DeepEnsembleClassifier(slotTimeout=0)._timeouts()["slot_timeout"] == 0


@pytest.mark.parametrize("name", ["stallTimeout", "silenceTimeout", "slotTimeout"])
@pytest.mark.parametrize("value", [-1.0, float("inf"), float("nan")])
def test_what_is_no_time_is_refused(name, value):
    with pytest.raises(ConfigurationError, match="invalid_param"):
        KerasClassifier(**{name: value})._timeouts()


def test_the_transport_is_a_param():
    assert KerasClassifier()._coupling().transport == "auto"
    assert KerasClassifier(transport="horovod")._coupling().transport == "horovod"
    with pytest.raises(ConfigurationError, match="Did you mean 'horovod'"):
        KerasClassifier(transport="horovd")._coupling()
