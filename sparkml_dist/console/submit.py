"""Runs a Python file with spark-submit: finds that and Java, prints the line, replaces itself."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn

from sparkml_dist.console.printing import note
from sparkml_dist.console.submit_options import settings_of, value_of
from sparkml_dist.errors import ConfigurationError

__all__ = ["ENVIRONMENT", "find_java", "find_spark_submit", "submit", "submit_line"]

#: Name under which executors unpack the archive of ``--environment``.
ENVIRONMENT = "environment"

_PYTHON = "spark.pyspark.python"
_DRIVER_PYTHON = "spark.pyspark.driver.python"


def find_spark_submit() -> Path:
    """Return the path of spark-submit: of SPARK_HOME, else of the installed PySpark, else on PATH.

    Raises
    ------
    ConfigurationError
        ``spark_not_found``.
    """
    places = []
    if home := os.environ.get("SPARK_HOME"):
        places.append(Path(home, "bin"))
    if (spec := find_spec("pyspark")) is not None and spec.origin:
        places.append(Path(spec.origin).parent / "bin")
    for place in places:
        if (place / "spark-submit").is_file():
            return place / "spark-submit"
    if found := shutil.which("spark-submit"):
        return Path(found)
    raise ConfigurationError(
        "spark_not_found",
        "There is no spark-submit.",
        "pip install 'pyspark[connect]', or set SPARK_HOME to an installation of Spark.",
    )


def find_java() -> Path:
    """Return the path of the java that spark-submit will start.

    Raises
    ------
    ConfigurationError
        ``java_not_found``.
    """
    home = os.environ.get("JAVA_HOME")
    found = str(Path(home, "bin", "java")) if home else shutil.which("java")
    if found is None or not os.access(found, os.X_OK):
        where = f"in JAVA_HOME={home}" if home else "on PATH, and JAVA_HOME is not set"
        raise ConfigurationError(
            "java_not_found",
            f"There is no java {where}.",
            "Install Java 17 or newer (Debian: openjdk-17-jre-headless), or set JAVA_HOME.",
        )
    return Path(found)


def submit_line(
    program: Path, submit: Sequence[str], file: Path, arguments: Sequence[str]
) -> list[str]:
    """Return the command line of spark-submit.

    ``--environment ARCHIVE`` among `submit` becomes ``--archives`` and the interpreters of workers
    and driver.

    Parameters
    ----------
    program : Path
        Of spark-submit.
    submit : sequence of str
        Its options.
    file : Path
        The Python file to run.
    arguments : sequence of str
        Arguments of that file.
    """
    options = list(submit)
    if archive := value_of(options, "--environment"):
        options = _without(options, "--environment")
        archives = value_of(options, "--archives")
        options = _without(options, "--archives")
        together = f"{archives}," if archives else ""
        options += ["--archives", f"{together}{archive}#{ENVIRONMENT}"]
        given = settings_of(options)
        if _PYTHON not in given:
            options += ["--conf", f"{_PYTHON}=./{ENVIRONMENT}/bin/python"]
        if _DRIVER_PYTHON not in given and value_of(options, "--deploy-mode") != "cluster":
            options += ["--conf", f"{_DRIVER_PYTHON}={sys.executable}"]
    return [str(program), *options, str(file), *arguments]


def submit(options: Sequence[str], file: Path, arguments: Sequence[str]) -> NoReturn:
    """Print the line of spark-submit on stderr, and become that process.

    Raises
    ------
    ConfigurationError
        ``java_not_found`` or ``spark_not_found``.
    """
    find_java()
    program = find_spark_submit()
    line = submit_line(program, options, file, arguments)
    note(shlex.join(["spark-submit", *line[1:]]))
    environment = dict(os.environ)
    if value_of(options, "--deploy-mode") != "cluster":
        # Without them, driver and workers get the first python3 on the path.
        environment.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
        environment.setdefault("PYSPARK_PYTHON", sys.executable)
    sys.stdout.flush()
    os.execve(program, line, environment)


def _without(options: Sequence[str], name: str) -> list[str]:
    """Return options without one of them and its values."""
    found, rest = [], iter(options)
    for option in rest:
        if option == name:
            next(rest, None)
        elif not option.startswith(f"{name}="):
            found.append(option)
    return found
