#!/usr/bin/env bash
# worker.sh install | run STORED DATA ARGUMENTS | stop
# What tpu.sh calls on every worker. Worker 0 has the run's folder and copies it to STORED, a folder of a bucket, every
# minute; DATA is a folder of a bucket with data sets, or empty. DRY_RUN=1 prints the commands and runs none.
set -euo pipefail
cd "$(dirname "$0")/../.."
. launch/commands.sh

PATH=$HOME/.local/bin:$PATH
ATTRIBUTES=http://metadata.google.internal/computeMetadata/v1/instance/attributes

main() {
  local verb=${1:-}
  shift || usage
  case $verb in
    install) install ;;
    run) start "$@" ;;
    save) save "$@" ;;
    stop) run pkill -TERM --pidfile skinjax.pid ;;
    *) usage ;;
  esac
}

install() { # the system's Python is too old
  run python3 -m pip install --quiet --user uv
  run uv venv --quiet --allow-existing --python=3.12
  run uv pip install --quiet '.[tpu]'
}

start() {
  local stored=$1 data=$2 folder worker
  shift 2
  folder=runs/${stored##*/}
  worker=$(ask curl --silent --fail --header 'Metadata-Flavor: Google' "$ATTRIBUTES/agent-worker-number")
  if [ -e skinjax.pid ] && kill -0 "$(cat skinjax.pid)" 2>/dev/null; then
    echo "worker $worker: it runs already"
    return
  fi
  run mkdir -p "$folder" data
  if [ "${worker:=0}" -eq 0 ]; then
    # Fails where the bucket cannot be reached; taken for empty, it would let the run begin anew.
    run gcloud storage cp - "$stored/arguments.txt" <<<"$*"
    run gcloud storage rsync "$stored" "$folder" --recursive
  fi
  if [ -n "$data" ]; then
    run gcloud storage rsync "$data" data --recursive
  fi
  behind "$folder/log-$worker.txt" launch/gpu_box/keep_running.sh \
    .venv/bin/python -m skinjax.main "$@" --workdir="$folder/run" --data_dir=data
  if [ -z "${DRY_RUN:-}" ]; then
    echo $! >skinjax.pid
  fi
  if [ "$worker" -eq 0 ]; then
    behind "$folder/log-save.txt" launch/tpu_vm/worker.sh save "$stored" "$folder"
  fi
}

behind() { # goes on when the connection ends
  local log=$1
  shift
  if [ -n "${DRY_RUN:-}" ]; then
    quoted nohup setsid "$@"
  else
    nohup setsid "$@" >>"$log" 2>&1 </dev/null &
  fi
}

save() { # once more after the run has ended
  local stored=$1 folder=$2 runs=1
  while [ -n "$runs" ]; do
    sleep 60
    kill -0 "$(cat skinjax.pid)" 2>/dev/null || runs=
    run gcloud storage rsync "$folder" "$stored" --recursive || echo 'not copied; tried again in a minute'
  done
}

main "$@"
