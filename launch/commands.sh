#!/usr/bin/env bash
# Sourced by the scripts of this folder: how they run commands, or print them under DRY_RUN=1.

# Run a command; under DRY_RUN=1 print it as one may paste it into a shell.
run() {
  if [ -n "${DRY_RUN:-}" ]; then
    quoted "$@"
  else
    "$@"
  fi
}

# Run a command for its answer; under DRY_RUN=1 there is none, and the command is printed beside it.
ask() {
  if [ -n "${DRY_RUN:-}" ]; then
    run "$@" >&2
  else
    "$@"
  fi
}

# The words as one line that a shell splits into the same words again.
quoted() {
  local word line=
  for word in "$@"; do
    if [[ $word =~ ^[A-Za-z0-9_./:=,@+-]+$ ]]; then
      line+=" $word"
    else
      line+=" ${word@Q}"
    fi
  done
  echo "${line:1}"
}

# The usage of a script: the comment that it begins with.
usage() {
  sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
