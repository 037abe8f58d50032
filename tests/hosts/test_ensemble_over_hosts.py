"""An ensemble over three hosts: it is fitted as on one, also where a host is cut off meanwhile."""

from __future__ import annotations

import threading
import time

import pytest

from tests.hosts.network import HostCluster, HostNetwork

pytestmark = pytest.mark.long
ON = "tests.hosts.fits_on_hosts"
#: Spark gives a host up that is silent for so long; its default is 120 s.
SILENCE = {
    "spark.network.timeout": "15s",
    "spark.network.timeoutInterval": "5s",
    "spark.executor.heartbeatInterval": "3s",
}
BOUND = 60.0


def test_a_host_that_is_cut_off_changes_nothing_in_the_ensemble(tmp_path):
    with HostNetwork(4) as network, HostCluster(tmp_path, network) as cluster:
        (tmp_path / "whole").mkdir()
        expected = cluster.run(
            f"{ON}:fits", {"folder": str(tmp_path / "whole"), "members": 24}, conf=SILENCE
        )
        assert expected["members"] == 24 and not expected["left"]
        folder = tmp_path / "cut"
        folder.mkdir()

        def strike():
            while not list((folder / "model").rglob("*.skops")):
                time.sleep(0.05)
            assert not (folder / "fitted").exists()
            network.cut(3)
            cuts.append(time.monotonic())

        cuts: list[float] = []
        thread = threading.Thread(target=strike, daemon=True)
        thread.start()
        found = cluster.run(f"{ON}:fits", {"folder": str(folder), "members": 24}, conf=SILENCE)
        thread.join(1)
        assert cuts, "the host was cut off too late"
        assert found["probabilities"] == expected["probabilities"]
        assert found["members"] == 24 and not found["left"]
        print("ended", time.monotonic() - cuts[0], "s after the cut")
        network.join(3)
        print("idle after", cluster.seconds_until_idle(BOUND))
