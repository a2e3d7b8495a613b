#!/usr/bin/env bash
# jobset.sh image | storage | upload FOLDER | start | watch | collect | stop | delete | delete_storage
# image builds and pushes the image that the manifests name; storage makes the volume; upload copies a folder with data
# sets onto it, as /storage/FOLDER. start also goes on after stop. DRY_RUN=1 prints the commands and runs none.
set -euo pipefail
cd "$(dirname "$0")/../.."
. launch/commands.sh

[ "$#" -gt 0 ] || usage
HOST=${HOST:-0} # whose log is watched
pods=jobset.sigs.k8s.io/jobset-name=skinjax
here=launch/kubernetes
image=$(sed -n 's/^ *image: //p' "$here/jobset.yaml")

case $1 in
  image)
    run docker build --file="$here/Dockerfile" --tag="$image" .
    run docker push "$image"
    ;;
  storage)
    run kubectl apply --filename="$here/storage.yaml"
    run kubectl wait pod/skinjax-files --for=condition=Ready --timeout=10m
    ;;
  upload) run kubectl cp "${2:?upload which folder?}" skinjax-files:/storage ;;
  start) run kubectl apply --filename="$here/jobset.yaml" ;;
  watch)
    run kubectl get jobset skinjax
    run kubectl get pods --selector="$pods" --output=wide
    run kubectl logs --follow --tail=50 --selector="$pods,batch.kubernetes.io/job-completion-index=$HOST"
    ;;
  collect)
    run mkdir -p runs
    run kubectl cp skinjax-files:/storage/runs runs --retries=10
    ;;
  stop) run kubectl patch jobset skinjax --type=merge --patch='{"spec":{"suspend":true}}' ;;
  delete) run kubectl delete --filename="$here/jobset.yaml" ;;
  delete_storage)
    if [ -z "${DRY_RUN:-}" ]; then
      read -rp 'This deletes all runs and data sets on the volume. Type yes: ' answer
      [ "$answer" = yes ]
    fi
    run kubectl delete --filename="$here/storage.yaml"
    ;;
  *) usage ;;
esac
