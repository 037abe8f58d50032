#!/usr/bin/env bash
# Build the environment in .venv from requirements.lock. Does nothing when it is up to date.
#   PYTHON=python3.12 scripts/setup.sh     chooses the interpreter (3.11, 3.12 or 3.13)
#   GPU=1 scripts/setup.sh                 builds .venv-gpu, with CUDA and NCCL, instead
set -Eeuo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh

stamp="$venv/.setup"
lock=requirements${GPU:+-gpu}.lock
horovod=sparkml_dist/console/horovod
settings=$horovod/$([ -n "${GPU:-}" ] && echo gpu || echo cpu).toml
inputs=(pyproject.toml "$lock" scripts/requirements-uv.txt "$settings")
if [ -n "${GPU:-}" ]; then
  inputs+=("$horovod"/gpu_shim/horovod_gpu_shim/{__init__.py,include/*/*/*,lib/*})
fi
options=(--compile-bytecode --require-hashes --config-file "$settings")
step="checking this machine"

say() { echo "setup: $*"; }
die() {
  echo "setup: $*" >&2
  trap - ERR
  exit 1
}
trap 'die "failed while $step (see above)."' ERR

# --- What must be there ---------------------------------------------------------------------

# Prints the first interpreter that is 3.11, 3.12 or 3.13; PYTHON first.
find_python() {
  local candidate
  for candidate in "${PYTHON:-python3}" python3 python3.11 python3.12 python3.13; do
    command -v "$candidate" >/dev/null 2>&1 || continue
    "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || continue
    "$candidate" -c 'import sys; print(sys.executable)'
    return 0
  done
  return 1
}

find_compiler() {
  local candidate
  for candidate in "${CXX:-}" c++ g++ clang++; do
    [ -n "$candidate" ] && command -v "$candidate" && return 0
  done
  return 1
}

# Fills missing (words for people) and packages (names for apt).
look_around() {
  missing=() packages=()
  python=$(find_python) || python=""
  compiler=$(find_compiler) || compiler=""
  java=$(find_java) || java=""
  if [ -z "$python" ]; then
    missing+=("Python 3.11, 3.12 or 3.13")
    packages+=(python3 python3-venv)
  elif ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=("the venv module of $python")
    packages+=("$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')")
  fi
  if [ -z "$compiler" ]; then
    missing+=("a C++ compiler")
    packages+=(g++)
  fi
  if [ -z "$java" ]; then
    missing+=("Java 17 or newer")
    packages+=("$(java_package)")
  fi
}

# The Java package of this release (Debian 13 no longer has 17).
java_package() {
  local name
  for name in openjdk-17-jre-headless openjdk-21-jre-headless openjdk-25-jre-headless; do
    if apt-cache show "$name" >/dev/null 2>&1; then
      echo "$name"
      return 0
    fi
  done
  echo openjdk-17-jre-headless
}

# "a, b and c"
listed() {
  local text=$1 i
  for ((i = 2; i < $#; i++)); do text+=", ${!i}"; done
  [ $# -lt 2 ] || text+=" and ${!#}"
  echo "$text"
}

# How the missing things are installed here, for the one line that says so.
advice() {
  if command -v apt-get >/dev/null; then
    echo "apt-get install ${packages[*]}"
  elif command -v dnf >/dev/null; then
    echo "dnf install python3.12 gcc-c++ java-21-openjdk-headless"
  else
    echo "your system's packages for it (on Debian: ${packages[*]})"
  fi
}

install_missing() {
  local log=build/setup/apt.log
  mkdir -p build/setup
  export DEBIAN_FRONTEND=noninteractive
  step="updating the package lists"
  apt-get update >"$log" 2>&1 || { tail -n 5 "$log" >&2; false; }
  look_around # the lists may name a newer Java
  say "missing: $(listed "${missing[@]}"); installing ${packages[*]}"
  step="installing ${packages[*]}"
  apt-get install -y --no-install-recommends "${packages[@]}" >>"$log" 2>&1 || { tail -n 5 "$log" >&2; false; }
}

look_around
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null; then
    install_missing
    look_around
    [ ${#missing[@]} -eq 0 ] || die "still missing after the installation: $(listed "${missing[@]}")."
  else
    die "missing: $(listed "${missing[@]}"); install with: $(advice)"
  fi
fi

# --- The environment ------------------------------------------------------------------------

wanted=$(cat "${inputs[@]}" | sha256sum | cut -d ' ' -f 1)
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/python" ]; then
  exit 0
fi

started=$SECONDS
say "Python: $python; compiler: $compiler; Java: $java"
[ "$(uname -sm)" = "Linux x86_64" ] || say "note: tried on Linux x86_64 only; this is $(uname -sm)."
unset PYTHONPATH PYTHONHOME VIRTUAL_ENV
rm -f "$stamp"

step="making $(basename "$venv")"
if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
  say "$step"
  "$python" -m venv --clear "$venv"
fi

step="installing uv"
say "$step"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes -r scripts/requirements-uv.txt

step="installing the packages of $lock"
say "$step (the first time some minutes: Horovod is compiled)"
export VIRTUAL_ENV="$venv"
# Compiled here once, or each new Python worker would do it again where bytecode is not kept.
"$venv/bin/uv" pip install "${options[@]}" -r "$lock"

step="installing sparkml_dist itself"
"$venv/bin/uv" pip install --quiet --no-deps --no-build-isolation --editable .

step="importing Horovod (it must match TensorFlow)"
said=$(TF_CPP_MIN_LOG_LEVEL=3 "$venv/bin/python" -c 'import horovod.tensorflow' 2>&1) || { echo "$said" >&2; false; }

echo "$wanted" >"$stamp"
say "ready in $(basename "$venv") after $((SECONDS - started)) s"
