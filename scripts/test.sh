#!/usr/bin/env bash
# Run the tests in each mode, each in a process of its own (a process has one Spark session):
#   local          those that use a session, on local[2], but for the next
#   ensembles      those in the folders of the ensembles, of search and of the jobs
#   processes      those that use none: plain functions, ranks, jobs, clusters of their own
#   local-cluster, connect      those marked "modes", on a local cluster and over Spark Connect
# Two modes run at a time. What the first prints is seen at once, that of the others at the end.
#   scripts/test.sh [pytest arguments]        MODES="local connect" chooses the modes
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# shellcheck source=scripts/env.sh
source scripts/env.sh
use_environment

# A JVM of the tests lives for minutes: compiling well, and collecting garbage with many threads,
# costs it more than it gains. There are many of them, which start in two thirds of the time from an
# archive of Spark's classes. Where it is missing or does not fit, they do without, but would say so
# on stdout.
light="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xlog:disable"
archive="$venv/spark-classes.jsa"
archive_classes() {
  JDK_JAVA_OPTIONS="" spark-submit --master "local[2]" --conf spark.ui.enabled=false \
    --driver-java-options "$light -XX:ArchiveClassesAtExit=$archive.$$" \
    scripts/archive_classes.py >/dev/null 2>&1 && mv -f "$archive.$$" "$archive"
}
if [ -z "${JDK_JAVA_OPTIONS:-}" ]; then
  if [ ! "$archive" -nt "$venv/.setup" ] || [ ! "$archive" -nt "$JAVA_HOME/release" ]; then
    archive_classes &
  fi
  export JDK_JAVA_OPTIONS="$light -XX:SharedArchiveFile=$archive"
fi

read -ra modes <<<"${MODES:-local ensembles processes local-cluster connect}"
logs=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$logs"' EXIT

# run_mode MODE [pytest arguments]: its status and seconds go to files named after it.
run_mode() {
  local mode=$1 started=$SECONDS status=0
  shift
  printf '\n######## tests in mode %s\n' "$mode"
  SPARKML_DIST_TEST_MODE=$mode python -m pytest "$@" || status=$?
  echo "$status $((SECONDS - started))" >"$logs/$mode.ended"
}

# run_others [pytest arguments]: the modes but the first that nobody has begun, one by one.
run_others() {
  local mode
  for mode in "${modes[@]:1}"; do
    if mkdir "$logs/$mode" 2>/dev/null; then run_mode "$mode" "$@" >"$logs/$mode.log" 2>&1; fi
  done
}

run_others "$@" &
run_mode "${modes[0]}" "$@"
run_others "$@"
wait
rows=() failed=0
for mode in "${modes[@]}"; do
  if [ -f "$logs/$mode.log" ]; then cat "$logs/$mode.log"; fi
  read -r status seconds <"$logs/$mode.ended"
  case $status in
    0) result=passed ;;
    5) result="no tests" ;;
    *) result="FAILED" ;;
  esac
  # Chosen tests (-k, a file) may have none in a mode; the whole suite has some in each.
  if [ "$status" -ne 0 ] && { [ "$status" -ne 5 ] || [ $# -eq 0 ]; }; then failed=1; fi
  rows+=("$(printf '%-15s %-9s %5d s' "$mode" "$result" "$seconds")")
done

printf '\n######## summary\n'
printf '%s\n' "${rows[@]}"
exit $failed
