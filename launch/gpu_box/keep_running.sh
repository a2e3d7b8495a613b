#!/usr/bin/env bash
# keep_running.sh COMMAND...: start a command again after each failure, until it ends with status 0.
#
# A run that is started again goes on where it was. It is given up after RESTARTS failures (20), or after three in a
# row that came within a minute, which is what a mistake in the command looks like; the status is that of the command.
# SIGTERM is passed on: the run writes a checkpoint and stops, and this script ends with 143, so that whoever started it
# knows a run that was stopped from one that is done. DRY_RUN=1 prints the command and does not run it.
set -uo pipefail
# shellcheck source=launch/commands.sh
. "$(dirname "$0")/../commands.sh"

if [ -n "${DRY_RUN:-}" ]; then
  quoted "$@"
  exit
fi
restarts=${RESTARTS:-20}
failures=0
early=0
told_to_stop=
trap 'told_to_stop=1; kill -TERM "${child:-}" 2>/dev/null' TERM
trap 'told_to_stop=1; kill -INT "${child:-}" 2>/dev/null' INT

while [ -z "$told_to_stop" ]; do
  began=$SECONDS
  "$@" &
  child=$!
  wait "$child"
  status=$?
  while kill -0 "$child" 2>/dev/null; do # the signal ended `wait`, not the command
    wait "$child"
    status=$?
  done
  [ -n "$told_to_stop" ] && break
  [ "$status" -eq 0 ] && exit 0
  failures=$((failures + 1))
  early=$((SECONDS - began < 60 ? early + 1 : 0))
  echo "keep_running: status $status, failure $failures" >&2
  if [ "$failures" -gt "$restarts" ] || [ "$early" -eq 3 ]; then
    exit "$status"
  fi
  sleep "${PAUSE:-10}" &
  child=$!
  wait "$child"
done
exit 143
