"""A real standalone cluster for tests: a master and workers as processes on the loopback addresses.

`StandaloneCluster` starts them; `StandaloneCluster.run` calls a function with a session on that
cluster in a driver process of its own, because a process has one Spark session. Each worker has a
loopback address of its own (127.0.0.1, 127.0.0.2, …): to the master they are different hosts. A
barrier stage knows its executors by the address that these speak from, which is 127.0.0.1.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60


class StandaloneCluster:
    """A master and its workers, stopped at the end of the ``with`` block.

    Parameters
    ----------
    folder : Path
        Gets logs, work folders and results.
    workers : int
        How many, each with an address of its own.
    cores : int
        Cores that each announces.
    gpus : int
        Made-up GPUs that each announces through a discovery script, numbered from 0.
    environments : mapping of int to mapping, optional
        What is added to the environment of single workers, and so of their executors.
    """

    driver_host = "127.0.0.1"

    def __init__(
        self,
        folder: Path,
        *,
        workers: int = 2,
        cores: int = 1,
        gpus: int = 0,
        environments: Mapping[int, Mapping[str, str]] | None = None,
    ) -> None:
        self.folder = folder
        self.cores = cores
        self.gpus = gpus
        self.hosts = [f"127.0.0.{i + 1}" for i in range(workers)]
        self.workers: list[subprocess.Popen] = []
        self._environments = environments or {}
        self._runs = 0

    def __enter__(self) -> StandaloneCluster:
        try:
            self._master, log = self._start(
                "master", "master.Master", self.driver_host, ["--webui-port", "0"]
            )
            self.url = _wait_for(self._master, log, r"Starting Spark master at (spark://\S+)")
            started = [self._worker(i) for i in range(len(self.hosts))]
            for process, log in started:
                _wait_for(process, log, r"(Successfully registered) with master")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in [*self.workers, getattr(self, "_master", None)]:
            if process is not None:
                self._kill(process, signal.SIGTERM)

    def add_worker(self) -> None:
        """Start one more worker, at an address of its own, and wait until the master knows it."""
        index = len(self.hosts)
        self.hosts.append(f"127.0.0.{index + 1}")
        process, log = self._worker(index)
        _wait_for(process, log, r"(Successfully registered) with master")

    def kill_worker(self, index: int) -> None:
        """Kill worker `index` and its executors without a farewell."""
        self._kill(self.workers[index], signal.SIGKILL)

    def worker_pids(self) -> list[int]:
        """The processes of the workers, for tests that kill them from the driver."""
        return [process.pid for process in self.workers]

    def run(
        self,
        function: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        conf: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        seconds: float = 240,
    ) -> Any:
        """Call ``module:name`` with a session on this cluster in a fresh driver process.

        Parameters
        ----------
        function : str
            Called with the session, then `arguments` by name; returns JSON values.
        arguments : mapping, optional
            JSON values.
        conf : mapping of str to str, optional
            Spark settings beside the usual ones of tests.
        environment : mapping of str to str, optional
            Added to the driver's environment.
        seconds : float
            After which the driver is killed.

        Returns
        -------
        Any
            What the function returned.
        """
        self._runs += 1
        result = self.folder / f"result-{self._runs}.json"
        log = self.folder / f"driver-{self._runs}.log"
        settings = {
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
            "spark.local.dir": str(self.folder / "local"),
            "spark.executor.memory": "512m",
            "spark.sql.shuffle.partitions": "4",
            **self.gpu_settings,
            **(conf or {}),
        }
        options = " ".join(f'--conf "{k}={v}"' for k, v in settings.items())
        submit = f"--master {self.url} --driver-memory 512m {options} pyspark-shell"
        command = [
            *self._at(self.driver_host),
            sys.executable,
            __file__,
            function,
            str(result),
            json.dumps(arguments or {}),
        ]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env={
                    **self._environment(self.driver_host),
                    "PYSPARK_SUBMIT_ARGS": submit,
                    **(environment or {}),
                },
            )
            try:
                process.wait(timeout=seconds)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        if not result.exists():
            raise AssertionError(f"The driver ended with {process.returncode}:\n{_end(log)}")
        found = json.loads(result.read_text())
        if "trace" in found:
            raise AssertionError(f"{function} failed:\n{found['trace']}")
        return found["value"]

    @property
    def gpu_settings(self) -> dict[str, str]:
        """What an application sets so that each of its tasks owns a GPU."""
        if not self.gpus:
            return {}
        return {
            "spark.executor.resource.gpu.amount": str(min(self.gpus, self.cores)),
            "spark.task.resource.gpu.amount": "1",
        }

    def _at(self, host: str) -> list[str]:
        """Return what is put before a command that runs on `host`."""
        return []

    def _worker(self, index: int) -> tuple[subprocess.Popen, Path]:
        options = ["--webui-port", "0", "--cores", str(self.cores), "--memory", "1g"]
        options += ["--work-dir", str(self.folder / f"work-{index}"), self.url]
        extra = dict(self._environments.get(index, {}))
        if self.gpus:
            script = self.folder / "gpus.sh"
            addresses = json.dumps([str(i) for i in range(self.gpus)])
            script.write_text(f'#!/bin/sh\necho \'{{"name": "gpu", "addresses": {addresses}}}\'\n')
            script.chmod(0o755)
            extra["SPARK_WORKER_OPTS"] = (
                f"-Dspark.worker.resource.gpu.amount={self.gpus} "
                f"-Dspark.worker.resource.gpu.discoveryScript={script}"
            )
        process, log = self._start(
            f"worker-{index}", "worker.Worker", self.hosts[index], options, extra
        )
        self.workers.append(process)
        return process, log

    def _start(
        self,
        name: str,
        main: str,
        host: str,
        options: Sequence[str],
        environment: Mapping[str, str] | None = None,
    ) -> tuple[subprocess.Popen, Path]:
        import pyspark

        log = self.folder / f"{name}.log"
        program = Path(pyspark.__file__).parent / "bin" / "spark-class"
        command = [
            *self._at(host),
            str(program),
            f"org.apache.spark.deploy.{main}",
            "--host",
            host,
            "--port",
            "0",
        ]
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [*command, *options],
                cwd=self.folder,
                stdout=stream,
                stderr=stream,
                start_new_session=True,
                env={**self._environment(host), **(environment or {})},
            )
        return process, log

    def _environment(self, host: str) -> dict[str, str]:
        found = {k: v for k, v in os.environ.items() if not k.startswith("SPARKML_DIST_TEST")}
        for name in ("SPARK_HOME", "SPARK_CONF_DIR", "SPARK_REMOTE", "MASTER"):
            found.pop(name, None)
        found.update(
            PYTHONPATH=str(ROOT),
            PYSPARK_PYTHON=sys.executable,
            PYSPARK_DRIVER_PYTHON=sys.executable,
            SPARK_LOCAL_IP=host,
            SPARK_LOCAL_HOSTNAME=host,
            SPARK_DAEMON_MEMORY="256m",
            SPARK_NO_DAEMONIZE="1",
        )
        return found

    @staticmethod
    def _kill(process: subprocess.Popen, how: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _wait_for(process: subprocess.Popen, log: Path, pattern: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if found := re.search(pattern, log.read_text(errors="replace")):
            return found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise AssertionError(f"No {pattern!r} in {log}:\n{_end(log)}")


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-60:])


def _drive(function: str, result: str, arguments: str) -> None:
    """Run in the driver process: build the session, call the function, keep what it returns."""
    from sparkml_dist.session import get_session

    module, _, name = function.partition(":")
    try:
        spark = get_session("test")
        found = {
            "value": getattr(importlib.import_module(module), name)(spark, **json.loads(arguments))
        }
    except BaseException:  # noqa: BLE001 - told to the test
        found = {"trace": traceback.format_exc()}
    temporary = Path(result + ".tmp")
    temporary.write_text(json.dumps(found))
    temporary.rename(result)


if __name__ == "__main__":
    _drive(*sys.argv[1:4])
