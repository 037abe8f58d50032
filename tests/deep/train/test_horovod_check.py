"""How gradients will travel, and the refusals when they cannot travel as asked."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sparkml_dist.cluster.gang import run_gang
from sparkml_dist.persistence.filesystem import Folder


def _checks(context, _):
    from sparkml_dist.deep.backend.with_horovod import hvd
    from sparkml_dist.deep.train.horovod_check import check_horovod
    from sparkml_dist.errors import SparkMLDistError

    def of(reduction, **changes):
        try:
            return check_horovod(replace(context, **changes), reduction)
        except SparkMLDistError as error:
            return error.to_dict()

    found = {
        "auto": of("auto"),
        "gloo": of("gloo"),
        "mpi": of("mpi"),
        "no GPU": of("nccl"),
        "made-up GPU": of("nccl", gpus=("7",)),
        "made-up GPU, auto": of("auto", gpus=("7",)),
    }
    hvd.gloo_built = lambda: False
    found["no Gloo"] = of("auto")
    return found


@pytest.fixture(scope="module")
def checks(spark, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checks")
    (result,) = run_gang(
        spark,
        1,
        _checks,
        preload=("sparkml_dist.deep.backend.with_horovod",),
        log_folder=Folder.at(folder),
    )
    return result.value, (folder / "rank-0.log").read_text()


def test_cpus_reduce_with_gloo(checks):
    found, log = checks
    assert (found["auto"], found["gloo"], found["made-up GPU, auto"]) == ("gloo", "gloo", "gloo")
    assert "does not see GPU 7 of its task. It trains on the CPU." in log


@pytest.mark.parametrize(
    ("case", "code", "text"),
    [
        ("mpi", "invalid_param", "auto, gloo, nccl"),
        ("no GPU", "gpu_missing", "owns no GPU"),
        ("made-up GPU", "gpu_missing", "does not see GPU 7"),
        ("no Gloo", "horovod_without_gloo", "rank 0 on"),
    ],
)
def test_refusals(checks, case, code, text):
    error = checks[0][case]
    assert error["code"] == code
    assert text in error["message"]
    assert error["hint"] or case == "mpi"
