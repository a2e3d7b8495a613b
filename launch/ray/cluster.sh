#!/usr/bin/env bash
# cluster.sh start | run ARGUMENTS of skinjax | watch | collect | stop | delete
# For example: cluster.sh run reproduce 003 --table=V --scale=full. Everything lies in $STORAGE/runs and $STORAGE/data
# of the shared folder; run, repeated, goes on. DRY_RUN=1 prints the commands and runs none.
set -euo pipefail
cd "$(dirname "$0")/../.."
. launch/commands.sh

[ "$#" -gt 0 ] || usage
STORAGE=${STORAGE:-/mnt/skinjax}
cluster=launch/ray/cluster.yaml
verb=$1
shift

on_head() {
  run ray exec "$cluster" "$@"
}

case $verb in
  start) run ray up "$cluster" ;; # asks first; repeated, it brings changes to a cluster that is there
  run)
    command=$(quoted launch/gpu_box/keep_running.sh skinjax "$@" --gpus=1 --workdir="$STORAGE/runs")
    on_head --tmux "cd skinjax && RAY_ADDRESS=auto SKINJAX_DATA=$STORAGE/data $command 2>&1 | tee -a $STORAGE/log.txt"
    ;;
  watch) on_head "ray status && tail -n 50 -F $STORAGE/log.txt" ;;
  collect)
    run mkdir -p runs
    run ray rsync-down "$cluster" "$STORAGE/runs/" runs/
    ;;
  stop) on_head 'pkill -TERM -x keep_running.sh' ;;
  delete) run ray down "$cluster" ;; # asks first
  *) usage ;;
esac
