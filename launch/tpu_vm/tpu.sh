#!/usr/bin/env bash
# tpu.sh start ARGUMENTS    create a TPU VM or slice unless it is there, install, and run skinjax.main on all workers
# tpu.sh create | install | run ARGUMENTS                the same in steps
# tpu.sh watch | collect | stop | delete
# Settings are variables of the environment, listed in this script. DRY_RUN=1 prints the commands and runs none.
set -euo pipefail
cd "$(dirname "$0")/../.."
. launch/commands.sh

[ "$#" -gt 0 ] || usage
: "${BUCKET:?set it to a folder of a bucket, as in gs://mine/skinjax: there a run outlives its TPU VM}"
NAME=${NAME:-skinjax}                   # of the TPU VM
RUN=${RUN:-run}                         # the run is $BUCKET/$RUN/run, and when collected runs/$RUN/run
ZONE=${ZONE:-us-west4-a}
TYPE=${TYPE:-v5litepod-16}              # 16 chips on 4 hosts; v5litepod-8 is one host
VERSION=${VERSION:-v2-alpha-tpuv5-lite} # the system image that belongs to TYPE
PRICE=${PRICE---spot}                   # PRICE= for one that is not preempted, at the full price
DATA=${DATA:-}                          # a folder of a bucket with prepared data sets; none for the synthetic set
WORKER=${WORKER:-0}                     # whose log is watched

main() {
  local verb=$1
  shift
  case $verb in
    start)
      create
      install
      run_on_all "$@"
      ;;
    create) create ;;
    install) install ;;
    run) run_on_all "$@" ;;
    watch) tpu ssh "$NAME" --worker="$WORKER" --command="tail -n 50 -F skinjax/runs/$RUN/log-$WORKER.txt" ;;
    collect)
      run mkdir -p "runs/$RUN"
      run gcloud storage rsync "$BUCKET/$RUN" "runs/$RUN" --recursive
      ;;
    stop) on_all 'skinjax/launch/tpu_vm/worker.sh stop' ;;
    delete) tpu delete "$NAME" ;; # gcloud asks first
    *) usage ;;
  esac
}

create() {
  local state
  state=$(ask gcloud compute tpus tpu-vm list --zone="$ZONE" --filter="name~/nodes/$NAME\$" --format='value(state)')
  case $state in
    READY) ;;
    STOPPED) tpu start "$NAME" ;;
    '') new ;;
    PREEMPTED | TERMINATED) # its disks are gone; only the name is in the way
      tpu delete "$NAME" --quiet
      new
      ;;
    *)
      echo "the TPU VM $NAME is $state: try again later" >&2
      exit 1
      ;;
  esac
}

new() {
  # shellcheck disable=SC2086  # PRICE may be nothing or several flags
  tpu create "$NAME" --accelerator-type="$TYPE" --version="$VERSION" --scopes=cloud-platform $PRICE
}

install() { # what is committed here
  run mkdir -p build
  run git archive --format=tar.gz --output=build/skinjax.tar.gz HEAD
  tpu scp build/skinjax.tar.gz "$NAME:" --worker=all
  on_all 'mkdir -p skinjax && tar -xzf skinjax.tar.gz -C skinjax && skinjax/launch/tpu_vm/worker.sh install'
}

run_on_all() {
  on_all "$(quoted skinjax/launch/tpu_vm/worker.sh run "$BUCKET/$RUN" "$DATA" "$@")"
}

on_all() {
  tpu ssh "$NAME" --worker=all --command="$1"
}

tpu() {
  local verb=$1
  shift
  run gcloud compute tpus tpu-vm "$verb" "$@" --zone="$ZONE"
}

main "$@"
