# shellcheck shell=bash
# Limits as a container has them: a CPU quota and a memory limit, on cgroup v2 or v1, whichever has the controllers.
# For bash scripts to source. The process that sources it takes the group away again with limit_remove.

limit_groups=()    # folders that a process joins; none: no limits
limit_enabled=()   # controllers of v2 that were off before
limit_root=        # where v2 is mounted

limit_mounts() {  # kind of file system, mount point and options of each cgroup hierarchy, a line each
  sed -n 's/^[0-9]* [0-9]* [^ ]* [^ ]* \([^ ]*\) .* - \(cgroup2*\) [^ ]* \(.*\)$/\2 \1 \3/p' /proc/self/mountinfo
}

limit_own_path() {  # limit_own_path CONTROLLER: the group of v1 that this process is in
  sed -n "s/^[0-9]*:\([^:]*,\)*$1\(,[^:]*\)*://p" /proc/self/cgroup
}

limit_make_v2() {  # limit_make_v2 ROOT MILLICORES BYTES NAME
  local controller
  limit_root=$1
  for controller in cpu memory; do
    grep -qw "$controller" "$1/cgroup.subtree_control" && continue
    echo "+$controller" >"$1/cgroup.subtree_control" || return 1
    limit_enabled+=("$controller")
  done
  mkdir "$1/$4" || return 1
  limit_groups=("$1/$4")
  echo "$(($2 * 100)) 100000" >"$1/$4/cpu.max" || return 1
  # No swap, as the kubelet has it.
  [ ! -e "$1/$4/memory.swap.max" ] || echo 0 >"$1/$4/memory.swap.max" || return 1
  echo "$3" >"$1/$4/memory.max"
}

limit_make_v1() {  # limit_make_v1 CPU-ROOT MEMORY-ROOT MILLICORES BYTES NAME
  local cpu memory
  cpu=$1$(limit_own_path cpu)
  memory=$2$(limit_own_path memory)
  # In a container the paths of /proc may be the host's.
  [ -d "$cpu" ] || cpu=$1
  [ -d "$memory" ] || memory=$2
  cpu=${cpu%/}/$5 memory=${memory%/}/$5
  mkdir "$cpu" || return 1
  limit_groups=("$cpu")
  if [ "$memory" != "$cpu" ]; then
    mkdir "$memory" || return 1
    limit_groups+=("$memory")
  fi
  echo 100000 >"$cpu/cpu.cfs_period_us" || return 1
  echo "$(($3 * 100))" >"$cpu/cpu.cfs_quota_us" || return 1
  echo "$4" >"$memory/memory.limit_in_bytes"
}

# limit_make MILLICORES BYTES NAME: makes the group; fails where it cannot be made.
limit_make() {
  local kind point options cpu='' memory=''
  limit_groups=()
  while read -r kind point options; do
    if [ "$kind" = cgroup2 ]; then
      [ "$(grep -owE 'cpu|memory' "$point/cgroup.controllers" | wc -l)" -eq 2 ] || continue
      limit_make_v2 "$point" "$@"
      return
    fi
    [[ ,$options, != *,cpu,* ]] || cpu=$point
    [[ ,$options, != *,memory,* ]] || memory=$point
  done < <(limit_mounts)
  if [ -z "$cpu" ] || [ -z "$memory" ]; then
    echo "no cgroup hierarchy has cpu and memory" >&2
    return 1
  fi
  limit_make_v1 "$cpu" "$memory" "$@"
}

# limit_run COMMAND...: takes the place of the calling process, in the group where there is one.
limit_run() {
  local group
  for group in "${limit_groups[@]}"; do echo "$BASHPID" >"$group/cgroup.procs"; done
  exec "$@"
}

# limit_figures: what the limits did, as members of a JSON object. Times in milliseconds, memory in KiB.
limit_figures() {
  local first=${limit_groups[0]} last=${limit_groups[-1]} throttled peak=0 kills file
  throttled=$(awk '$1 == "throttled_time" {print int($2 / 1e6)} $1 == "throttled_usec" {print int($2 / 1e3)}' "$first/cpu.stat")
  for file in "$last/memory.peak" "$last/memory.max_usage_in_bytes"; do
    [ ! -r "$file" ] || peak=$(($(cat "$file") / 1024))
  done
  # Each version of cgroups has one of the two, and cat fails for want of the other.
  kills=$({ cat "$last/memory.events" "$last/memory.oom_control" 2>/dev/null || true; } | awk '$1 == "oom_kill" {print $2}')
  echo "\"throttled_ms\": ${throttled:-0}, \"limited_peak_kib\": $peak, \"oom_kills\": ${kills:-0}"
}

# limit_remove: takes the group away, when its processes have ended, and what was switched on for it.
limit_remove() {
  local group controller
  for group in "${limit_groups[@]}"; do
    for _ in $(seq 20); do
      rmdir "$group" 2>/dev/null && break
      sleep 0.1
    done
    [ ! -d "$group" ] || echo "left behind: $group" >&2
  done
  limit_groups=()
  # One that another group has come to use meanwhile stays.
  for controller in "${limit_enabled[@]}"; do
    echo "-$controller" >"$limit_root/cgroup.subtree_control" || true
  done
  limit_enabled=()
}

# limit_of_chart cpu|memory VALUES: the limit of the tap's container, in millicores or bytes.
limit_of_chart() {
  local text
  text=$(awk -v key="$1:" '
    /^[^ #]/ {top = $1}
    /^  [^ #]/ {second = $1}
    /^    [^ #]/ {third = $1}
    top == "sidecar:" && second == "resources:" && third == "limits:" && $1 == key {print $2; exit}' "$2")
  [ -n "$text" ] || { echo "no sidecar.resources.limits.$1 in $2" >&2; return 1; }
  case "$1:$text" in
    cpu:*m) echo "${text%m}" ;;
    cpu:*) awk -v cores="$text" 'BEGIN {print int(cores * 1000)}' ;;
    *) numfmt --from=auto "$text" ;;
  esac
}
