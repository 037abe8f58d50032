# shellcheck shell=bash
# Sourced by the other scripts: the folders, a suitable Java, and an environment of this
# project's own (another Spark, or another Python's modules, must not leak in).

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
# With GPU=1 the environment is the one with CUDA and NCCL.
venv="$root/.venv${GPU:+-gpu}"

# java_home BINARY: its home if it is Java 17 or newer with the vector module PySpark 4 asks for.
java_home() {
  local settings version
  settings=$("$1" --add-modules=jdk.incubator.vector -XshowSettings:properties -version 2>&1) || return 1
  version=$(sed -nE 's/^ *java\.specification\.version = ([0-9]+).*/\1/p' <<<"$settings")
  [ "${version:-0}" -ge 17 ] || return 1
  sed -nE 's/^ *java\.home = //p' <<<"$settings"
}

# find_java: print the home of the first suitable Java: JAVA_HOME, PATH, the usual folder.
find_java() {
  local candidate
  for candidate in "${JAVA_HOME:-/nonexistent}/bin/java" "$(command -v java || true)" /usr/lib/jvm/*/bin/java; do
    [ -x "$candidate" ] && java_home "$candidate" && return 0
  done
  return 1
}

# use_environment: what every command of the project runs with, once it is set up.
use_environment() {
  JAVA_HOME=$(find_java) || {
    echo "Java 17 or newer is missing: run 'make setup'." >&2
    return 1
  }
  unset SPARK_HOME SPARK_CONF_DIR SPARK_REMOTE MASTER PYSPARK_SUBMIT_ARGS PYTHONPATH PYTHONHOME
  export JAVA_HOME
  export PATH="$venv/bin:$PATH"
  # Without it, workers start with whatever python3 is first on their PATH.
  export PYSPARK_PYTHON="$venv/bin/python" PYSPARK_DRIVER_PYTHON="$venv/bin/python"
  # Everything here runs on one machine, whose own name may not resolve (containers).
  export SPARK_LOCAL_IP="${SPARK_LOCAL_IP:-127.0.0.1}" SPARK_LOCAL_HOSTNAME="${SPARK_LOCAL_HOSTNAME:-localhost}"
  export PYTHONUNBUFFERED=1
}
