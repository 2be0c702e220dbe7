# shellcheck shell=bash disable=SC2154  # work is the test's folder
# Ends a script of certs-scripts/ by a signal in the middle of its work. Sourced.

# An openssl that waits in the subcommand STOP_AT until it is let go on.
mkdir -p "$work/stopping"
mkfifo "$work/reached" "$work/go"
cat >"$work/stopping/openssl" <<'OPENSSL'
#!/bin/sh
if [ "$1" = "$STOP_AT" ]; then
  echo reached >"$WORK/reached"
  read -r _ <"$WORK/go"
fi
exec "$OPENSSL" "$@"
OPENSSL
chmod +x "$work/stopping/openssl"

# What a script starts in the background ignores INT and QUIT; python3 takes that back.
default_signals=(/usr/bin/python3 -c 'import os,signal,sys
for s in (signal.SIGINT, signal.SIGQUIT): signal.signal(s, signal.SIG_DFL)
os.execvp(sys.argv[1], sys.argv[1:])')

# ended_by SIGNAL SUBCOMMAND COMMAND...: sends the signal while COMMAND waits for this subcommand of openssl, lets it go
# on, and returns the exit status.
ended_by() {
  local process status=0
  STOP_AT=$2 WORK=$work OPENSSL=$(command -v openssl) PATH=$work/stopping:$PATH "${default_signals[@]}" "${@:3}" &
  process=$!
  if read -r -t 60 _ <>"$work/reached"; then
    kill -s "$1" "$process"
    echo >"$work/go"
  else
    echo "openssl $2 is not reached"
  fi
  wait "$process" || status=$?
  return "$status"
}

# to_nobody COMMAND...: its output goes into a pipe that nobody reads any more.
to_nobody() {
  local status=0
  exec 7> >(true)
  wait $!
  "$@" >&7 2>/dev/null || status=$?
  exec 7>&-
  return "$status"
}
