"""The environment for GPUs, tried on a machine without one; run by ``make test-gpu-build``.

Outside the normal suite (its name does not begin with ``test_``): the environment takes gigabytes.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from sparkml_dist.cluster.gang import run_gang
from sparkml_dist.errors import ResourceError

PRELOAD = ("sparkml_dist.deep.backend.with_horovod",)


def test_this_is_the_environment_for_gpus():
    assert Path(sys.prefix).name == ".venv-gpu"
    code = (
        "import importlib.metadata as m, tensorflow as tf;"
        "print(m.version('tensorflow'), tf.test.is_built_with_cuda())"
    )
    assert _printed(code).split()[-1] == "True"


def test_horovod_imports_and_has_nccl_and_gloo():
    code = (
        "import horovod.tensorflow as h;"
        "print(h.nccl_built(), bool(h.cuda_built()), bool(h.gloo_built()), bool(h.mpi_built()))"
    )
    nccl, *others = _printed(code).split()[-4:]
    assert int(nccl) >= 22000  # its version
    assert others == ["True", "True", "False"]


def test_nccl_is_the_one_of_tensorflow_and_the_cuda_runtime_is_its_own():
    (library,) = Path(sys.prefix).glob("lib/python*/site-packages/horovod/tensorflow/mpi_lib*.so")
    linked = subprocess.run(["ldd", library], capture_output=True, text=True, check=True).stdout
    (nccl,) = [line for line in linked.splitlines() if "libnccl" in line]
    assert "site-packages/nvidia/nccl/lib" in str(Path(nccl.split()[2]).resolve())
    assert "libcudart.so.13" not in linked


def _collectives(context, _):
    import tensorflow as tf

    from sparkml_dist.deep.backend.with_horovod import hvd

    hvd.init()
    own = tf.range(4.0) + float(context.rank)
    return {
        "sum": hvd.allreduce(own, op=hvd.Sum).numpy().tolist(),
        "gathered": hvd.allgather(own[:1]).numpy().tolist(),
        "of_rank_1": hvd.broadcast(own, root_rank=1).numpy().tolist(),
        "all_to_all": hvd.alltoall(own, splits=[2, 2])[0].numpy().tolist(),
    }


def test_two_ranks_on_the_cpu(spark):
    first, second = [r.value for r in run_gang(spark, 2, _collectives, preload=PRELOAD)]
    for found in (first, second):
        assert found["sum"] == [1.0, 3.0, 5.0, 7.0]
        assert found["gathered"] == [0.0, 1.0]
        assert found["of_rank_1"] == [1.0, 2.0, 3.0, 4.0]
    assert first["all_to_all"] == [0.0, 1.0, 1.0, 2.0]
    assert second["all_to_all"] == [2.0, 3.0, 3.0, 4.0]


def _checks(context, reduction):
    from sparkml_dist.deep.train.horovod_check import check_horovod

    return check_horovod(context, reduction)


def test_nccl_is_refused_without_a_gpu_and_gloo_taken_instead(spark):
    with pytest.raises(ResourceError, match="gpu_missing"):
        run_gang(spark, 1, _checks, "nccl", preload=PRELOAD)
    assert [r.value for r in run_gang(spark, 1, _checks, "auto", preload=PRELOAD)] == ["gloo"]


def _printed(code: str) -> str:
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False
    )
    assert run.returncode == 0, run.stderr
    return run.stdout
