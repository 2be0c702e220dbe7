# shellcheck shell=bash
# Ends processes and waits for what they say. For bash scripts to source, which set `run` to the folder of their logs.

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
  # shellcheck disable=SC2154  # the script that sources this sets it
  tail -n 20 "$run"/*.log >&2
  return 1
}
