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
      +*)
        case "$2" in *[[:space:]]*) fail "$1 \"$2\": give one DNS name or IP address at a time" ;; esac
        eval "${variable#+}=\"\$${variable#+} \$2\"" ;;
    esac
    shift 2
  done
}

# require_number FLAG VALUE LEAST MOST. The shell would read a leading zero as octal.
require_number() {
  case "$2" in
    ''|*[!0-9]*|0?*) fail "$1 $2: expected a whole number from $3 to $4, without leading zeros" ;;
  esac
  if [ "${#2}" -gt 9 ] || [ "$2" -lt "$3" ] || [ "$2" -gt "$4" ]; then
    fail "$1 $2: expected a whole number from $3 to $4"
  fi
}

# require_objects NAME...: names of Kubernetes objects.
require_objects() {
  for name in "$@"; do
    case "$name" in
      ''|[!a-z0-9]*|*[!a-z0-9]|*[!a-z0-9.-]*)
        fail "\"$name\" is not a name of a Kubernetes object: expected lower-case letters, digits, - and ." ;;
    esac
  done
}

# require_sans NAME...: what a certificate can name.
require_sans() {
  for name in "$@"; do
    case "$(kind_of "$name")" in
      IP) is_ipv4 "$name" || is_ipv6 "$name" || fail "--san $name: not an IP address" ;;
      DNS) is_dns_name "$name" || fail "--san $name: neither an IP address nor a DNS name" ;;
    esac
  done
}

# kind_of NAME: what consists of digits and dots is an IPv4 address or a mistake.
kind_of() {
  case "$1" in
    *:*) echo IP ;;
    *[!0-9.]*) echo DNS ;;
    *) echo IP ;;
  esac
}

is_ipv4() {
  octet='(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])'
  printf '%s\n' "$1" | grep -qxE "($octet\\.){3}$octet"
}

# is_ipv6 ADDRESS: eight groups, or fewer around one "::"; the last two may be an IPv4 address.
is_ipv6() {
  address=$1
  case "$address" in
    *:*.*)
      is_ipv4 "${address##*:}" || return 1
      address=${address%:*}:0:0 ;;
  esac
  missing=no groups=0
  case "$address" in
    *::*::*|*:::*|:[!:]*|*[!:]:) return 1 ;;
    *::*) missing=yes ;;
  esac
  for group in $(printf '%s' "$address" | tr : ' '); do
    printf '%s\n' "$group" | grep -qxE '[0-9A-Fa-f]{1,4}' || return 1
    groups=$((groups + 1))
  done
  if [ "$missing" = yes ]; then [ "$groups" -lt 8 ]; else [ "$groups" -eq 8 ]; fi
}

# is_dns_name NAME: the first label may be "*".
is_dns_name() {
  label='[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?'
  [ "${#1}" -le 253 ] && printf '%s\n' "$1" | grep -qxE "(\\*\\.)?$label(\\.$label)*"
}

require_program() {
  command -v "$1" >/dev/null || fail "$1 is needed${2:+: $2}"
}

# names_of SERVICE NAMESPACE: every name under which a Service is reached inside of the cluster.
names_of() {
  echo "$1 $1.$2 $1.$2.svc $1.$2.svc.cluster.local"
}

# at_end COMMAND: runs it when the script ends, whatever ends it. Many shells run no EXIT trap when a signal ends them.
at_end() {
  ending=$1
  # shellcheck disable=SC2064  # the command of now
  trap "$ending" EXIT
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 131' QUIT
  trap 'exit 141' PIPE
  trap 'exit 143' TERM
}

# whole COMMAND...: runs what no signal may stop half-way; at_end comes first.
whole() {
  trap '' HUP INT QUIT PIPE TERM
  "$@"
  at_end "$ending"
}

# is_certificate FILE, is_key FILE: can openssl read it? No passphrase is asked for.
is_certificate() { openssl x509 -in "$1" -noout 2>/dev/null; }
is_key() { openssl pkey -in "$1" -passin pass: -noout 2>/dev/null; }

# belong_together CERTIFICATE KEY
belong_together() {
  [ "$(openssl x509 -in "$1" -noout -pubkey 2>/dev/null)" = "$(openssl pkey -in "$2" -passin pass: -pubout 2>/dev/null)" ]
}

# why_not_valid CA CERTIFICATE [OPTION]: openssl's reason, or nothing where the CA vouches for the certificate.
why_not_valid() {
  if ! verified=$(openssl verify -purpose sslserver ${3:+"$3"} -CAfile "$1" "$2" 2>&1); then
    reason=$(printf '%s\n' "$verified" | sed -n 's/.*error [0-9]* at [0-9]* depth lookup: //p' | head -n 1)
    echo "${reason:-cannot be read}"
  fi
}

# is_named CERTIFICATE NAME: does the certificate hold this name or address? A wildcard is compared as it stands.
is_named() {
  case "$(kind_of "$2")" in
    IP) openssl x509 -in "$1" -noout -checkip "$2" 2>/dev/null | grep -q 'does match' ;;
    DNS)
      openssl x509 -in "$1" -noout -checkhost "$2" 2>/dev/null | grep -q 'does match' ||
        openssl x509 -in "$1" -noout -ext subjectAltName 2>/dev/null | tr -d ' ' | tr , '\n' | grep -qixF "DNS:$2" ;;
  esac
}
