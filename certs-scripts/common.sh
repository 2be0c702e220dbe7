# shellcheck shell=sh
# What the scripts of this folder share: how options are read and how errors look. Sourced, not run.
program=${0##*/}

fail() {
  echo "$program: $1" >&2
  exit 2
}

# parse_options DECLARATIONS "$@": sets shell variables from the command line. A declaration is
#   --flag=variable   takes a value        --flag+variable   takes one each time, collected with spaces
#   --flag!variable   takes none, sets yes
# The script defines usage() and the variables' defaults.
parse_options() {
  declarations=$1
  shift
  while [ $# -gt 0 ]; do
    case "$1" in -h|--help) usage; exit 0 ;; esac
    variable=''
    for declaration in $declarations; do
      case "$declaration" in
        "$1="*|"$1+"*|"$1!"*) variable=${declaration#"$1"} ;;
      esac
    done
    case "$variable" in
      '') fail "unknown option $1 (see --help)" ;;
      !*) eval "${variable#!}=yes"; shift; continue ;;
    esac
    if [ $# -lt 2 ] || [ -z "$2" ]; then fail "$1 needs a value"; fi
    case "$variable" in
      =*) eval "${variable#=}=\$2" ;;
      +*) eval "${variable#+}=\"\$${variable#+} \$2\"" ;;
    esac
    shift 2
  done
}

# require_number FLAG VALUE LEAST MOST
require_number() {
  case "$2" in
    ''|*[!0-9]*) fail "$1 $2: a number from $3 to $4 is accepted" ;;
  esac
  if [ "${#2}" -gt 9 ] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
    fail "$1 $2: a number from $3 to $4 is accepted"
  fi
}

# require_names NAME...: what may stand in a certificate or in the path of an object.
require_names() {
  for name in "$@"; do
    case "$name" in
      *[!A-Za-z0-9.:*_-]*) fail "\"$name\" is neither a DNS name nor an IP address" ;;
    esac
  done
}

require_program() {
  command -v "$1" >/dev/null || fail "$1 is needed${2:+: $2}"
}

# names_of SERVICE NAMESPACE: every name under which a Service is reached inside of the cluster.
names_of() {
  echo "$1 $1.$2 $1.$2.svc $1.$2.svc.cluster.local"
}
