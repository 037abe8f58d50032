"""The Spark session of the test process, by mode, and what all tests share.

One process has one session. ``SPARKML_DIST_TEST_MODE`` chooses it and the tests: ``local`` runs
those that use the session but for those in the folders of ``ensembles``, which runs these,
``processes`` those that use none, ``local-cluster`` and ``connect`` the first case of each test
marked ``modes``. Without it every test runs, on a local session. The mode stands in brackets in the
id of every test that uses Spark, so that a failure names it.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

ROOT = Path(__file__).resolve().parent.parent
MASTERS = {"local": "local[2]", "local-cluster": "local-cluster[2,1,1024]", "connect": "local[2]"}
CHOSEN = os.environ.get("SPARKML_DIST_TEST_MODE", "all")
LOCAL = ("local", "ensembles", "processes")
# Folders of the mode ``ensembles``: as much of what uses the session that ``local`` is no longer
# than the other modes one after the other.
ENSEMBLES = {"ensemble", "learners", "members", "search", "jobs"}
MODE = "local" if CHOSEN in ("all", *LOCAL) else CHOSEN
DRIVER_MEMORY = os.environ.get("SPARKML_DIST_TEST_DRIVER_MEMORY", "1500m")
# They take seconds and gigabytes, start threads that do not survive a fork, and belong into the
# processes of ranks: whoever imports one of them here has broken a user's driver.
NOT_IN_THE_DRIVER = ("tensorflow", "keras", "horovod")

# The same examples at each run, so that a failure is of the change under test; and, now and then,
# many new ones.
settings.register_profile("project", deadline=None, derandomize=True, max_examples=30)
settings.register_profile("long", deadline=None, max_examples=300, print_blob=True)
PROFILE = os.environ.get("SPARKML_DIST_TEST_PROFILE", "project")
settings.load_profile(PROFILE)


def pytest_configure() -> None:
    if MODE not in MASTERS:
        raise pytest.UsageError(
            f"SPARKML_DIST_TEST_MODE must be one of {sorted({*LOCAL, *MASTERS})}. Got {MODE!r}."
        )
    # Before the first JVM: it and its Python workers inherit these.
    for name in ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_REMOTE", "MASTER", "PYSPARK_SUBMIT_ARGS"):
        os.environ.pop(name, None)
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    # Workers of a local cluster start in folders of their own and must find the test modules.
    os.environ["PYTHONPATH"] = str(ROOT)
    if "COVERAGE_PROCESS_START" in os.environ:
        os.environ["PYTHONPATH"] += os.pathsep + str(ROOT / "scripts" / "coverage")
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    os.environ.setdefault("SPARK_LOCAL_HOSTNAME", "localhost")
    os.environ.setdefault("MPLBACKEND", "agg")


def pytest_report_header() -> str:
    return f"spark: mode {CHOSEN} (master {MASTERS[MODE]}), python {sys.executable}"


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out files that have no test for this process: to import them all takes seconds."""
    if collection_path.suffix != ".py":
        return None
    ensembles = _of_ensembles(collection_path)
    if CHOSEN in ("local", "ensembles"):
        wanted = ensembles == (CHOSEN == "ensembles")
    else:
        wanted = CHOSEN in ("all", "processes") or "mark.modes" in collection_path.read_text()
    return None if wanted else True


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = [item for item in items if PROFILE == "long" or not item.get_closest_marker("long")]
    if CHOSEN in LOCAL:
        chosen = [item for item in chosen if _local_part(item) == CHOSEN]
    elif CHOSEN != "all":
        # One case of each: what they differ in is seen locally.
        marked = [item for item in chosen if _in_this_mode(item)]
        first = {(item.path, item.originalname): item for item in reversed(marked)}
        chosen = [item for item in marked if first[item.path, item.originalname] is item]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def _in_this_mode(item: pytest.Item) -> bool:
    """Return whether a test is marked ``modes``, or ``modes("connect")`` with this one's name."""
    mark = item.get_closest_marker("modes")
    return mark is not None and (not mark.args or CHOSEN in mark.args or PROFILE == "long")


def _local_part(item: pytest.Item) -> str:
    """Return which of the processes on one machine runs a test; they run two at a time."""
    if "spark" not in getattr(item, "fixturenames", ()):
        return "processes"
    return "ensembles" if _of_ensembles(item.path) else "local"


def _of_ensembles(path: Path) -> bool:
    """Return whether a test file is in one of the folders, wherever the checkout is."""
    path = path.resolve()
    inside = path.relative_to(ROOT).parts if path.is_relative_to(ROOT) else path.parts
    return bool(ENSEMBLES.intersection(inside))


def pytest_collection_finish() -> None:
    if found := _not_in_the_driver():
        raise pytest.UsageError(f"Collecting the tests imported {found}; import in functions.")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    terminalreporter.write_line(f"spark mode of this run: {CHOSEN}")


@pytest.fixture(autouse=True)
def _light_driver() -> Iterator[None]:
    before = _not_in_the_driver()
    yield
    found = sorted(set(_not_in_the_driver()) - set(before))
    assert not found, f"This test imported {found} into the driver."


@pytest.fixture(autouse=True, scope="session")
def _threads_of_a_task() -> Iterator[None]:
    """Give the oracles one thread, as tasks have: sums of more threads differ in their last bits,
    and a learner that has not converged differs with them."""
    import scipy.linalg  # noqa: F401
    import sklearn.ensemble  # noqa: F401 - both load libraries whose threads are limited
    from threadpoolctl import threadpool_limits

    with threadpool_limits(limits=1):
        yield


@pytest.fixture(scope="session", params=[MODE])
def spark(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SparkSession]:
    """The session of this process, in the mode under test."""
    from pyspark.sql import SparkSession

    scratch = tmp_path_factory.mktemp("spark")
    log4j = f"-Dlog4j2.configurationFile={(ROOT / 'tests' / 'log4j2.properties').as_uri()}"
    submit = {
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": log4j,
        "spark.executor.extraJavaOptions": log4j,
        "spark.local.dir": str(scratch / "local"),
        "spark.sql.warehouse.dir": str(scratch / "warehouse"),
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "65536",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        # Between two tests of gangs.
        "spark.sparkml_dist.warmRankSeconds": "300",
    }
    if request.param != "local-cluster":
        # Hundreds of small queries: compiling the code of each takes longer than running it
        # interpreted. The local cluster has Spark's defaults, so that both ways are tested.
        submit["spark.sql.codegen.wholeStage"] = "false"
        submit["spark.sql.codegen.factoryMode"] = "NO_CODEGEN"
    if request.param == "connect":
        submit["spark.connect.grpc.binding.port"] = str(_free_connect_port())
    conf = " ".join(f'--conf "{key}={value}"' for key, value in submit.items())
    os.environ["PYSPARK_SUBMIT_ARGS"] = f"--driver-memory {DRIVER_MEMORY} {conf} pyspark-shell"

    builder = SparkSession.builder.appName(f"tests ({request.param})")
    choose_master = builder.remote if request.param == "connect" else builder.master
    session = choose_master(MASTERS[request.param]).getOrCreate()
    yield session
    session.stop()


@pytest.fixture(scope="session")
def mode() -> str:
    """The mode under test: ``local``, ``local-cluster`` or ``connect``."""
    return MODE


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that lies beside a developer's checkout, not in the project."""
    folder = Path(os.environ.get("SPARKML_DIST_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"no real data in {folder} (SPARKML_DIST_DATA names another folder)")
    return folder


def _not_in_the_driver() -> list[str]:
    return [name for name in NOT_IN_THE_DRIVER if name in sys.modules]


def _free_connect_port() -> int:
    """Take a free port for the Connect server, and let PySpark's local client use it.

    The client of ``remote("local[2]")`` always asks for port 15002, which another run on this
    machine may hold.
    """
    from pyspark.sql.connect.client.core import DefaultChannelBuilder

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    DefaultChannelBuilder.default_port = staticmethod(lambda: port)
    return port
