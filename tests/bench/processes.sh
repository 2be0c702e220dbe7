# shellcheck shell=bash disable=SC2154
# Ends processes and waits for what they say. For bash scripts to source, which set `folder` to that of all that they write,
# `run` to that of the present logs, `running` to their processes, and `keep` to where the folder is kept, if at all.

stop() {  # stop PID: ends one of our processes, or with -PID its group, and waits for it
  # It may have ended by itself, and its status tells nothing here.
  kill -TERM -- "$1" 2>/dev/null || true
  for _ in $(seq 500); do
    kill -0 -- "$1" 2>/dev/null || break
    sleep 0.01
  done
  kill -KILL -- "$1" 2>/dev/null || true
  wait "$1" 2>/dev/null || true
}

wait_for_line() {  # wait_for_line TEXT FILE [SECONDS]
  local seconds=${3:-30}
  for _ in $(seq $((seconds * 20))); do
    grep -q "$1" "$2" 2>/dev/null && return 0
    sleep 0.05
  done
  echo "no '$1' in $2 after $seconds s:" >&2
  tail -n 20 "$run"/*.log >&2
  return 1
}

finish() {  # ends what still runs, and removes the folder
  local process
  for process in "${running[@]}"; do stop "$process"; done
  if [ -n "$keep" ]; then
    mkdir -p "$keep"
    cp -r "$folder/." "$keep/"
  fi
  rm -rf "$folder"
}
