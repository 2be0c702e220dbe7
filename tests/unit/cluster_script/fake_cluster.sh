#!/bin/sh
# kubectl and helm of a cluster that does what it is told, for the test of tests/cluster/run.sh. In shell, since it is
# begun a thousand times.
#
# FAKE_CLUSTER names its folder. The file "fault" in it names what goes wrong: lost, doubled, wrong-view, untapped,
# admission, left-over, job, disconnected, api-token, helm-test, alone, late-configuration, broken-image, lost-ca,
# not-moved, restarted, identity, page, dump, not-tapped, not-untapped, not-collected, not-proved, collector-loses.
set -euf

state=$FAKE_CLUSTER
program=${0##*/}
line=$*
printf '%s %s\n' "$program" "$line" >>"$state/calls"

# first_line FILE: sets text, to nothing where there is no such file.
first_line() {
  text=''
  # read fails at a last line without an end, which it has read all the same.
  [ ! -e "$state/$1" ] || IFS= read -r text <"$state/$1" || true
}
first_line fault
fault=$text
first_line release
release=$text
asker=''

# random_digits: sets digits, 18 of them.
random_digits() {
  read -r digits </proc/sys/kernel/random/uuid
  digits=${digits%%-*}${digits##*-}
  digits=${digits%??}
}

# octal ADDRESS: sets bytes, as printf reads them.
octal() {
  bytes='' rest=$1.
  while [ -n "$rest" ]; do
    octet=${rest%%.*} rest=${rest#*.}
    bytes=$bytes\\$((octet / 64))$((octet / 8 % 8))$((octet % 8))
  done
}

ip_of() {
  case "$1" in
    sensor) echo 10.244.9.9 ;;
    second) echo 10.244.9.10 ;;
    client) echo 10.244.1.1 ;;
    opted-out) echo 10.244.1.2 ;;
    server-a) echo 10.244.1.3 ;;
  esac
}

# message FLOW PEER COUNT: prints the markers of COUNT messages from the client, and appends a frame for each to the
# sensor's capture, as taps would forward them.
message() {
  captures=$state/captures
  case "$fault,$release" in
    not-moved,*) ;;
    *sensor.address=10.244.9.10*) captures=$state/second ;;
  esac
  sender=10.244.1.1
  case "$fault,$release" in
    not-collected,*) ;;
    *collector.enabled=true*) sender=10.244.7.1 ;;
  esac
  capture=$captures/$sender-1.pcap
  [ -d "$captures" ] || mkdir -p "$captures"
  if [ ! -e "$capture" ]; then
    # Several may begin it at the same time.
    printf '\324\303\262\241\002\000\004\000\000\000\000\000\000\000\000\000\377\377\000\000\001\000\000\000' >"$state/header.$$"
    ln "$state/header.$$" "$capture" 2>/dev/null || true
    rm "$state/header.$$"
  fi
  forwarded=1
  case "$fault,$asker,$2" in
    not-untapped,*) ;;
    *,opted-out,10.244.1.[456]) [ ! -e "$state/untapped" ] || forwarded=0 ;;
  esac
  octal 10.244.1.1
  source=$bytes
  octal "$2"
  peer=$bytes
  octal 10.96.0.7
  service=$bytes
  # Of 74 bytes: Ethernet, IPv4 with its addresses at 12 and 16, TCP without a header worth reading, and the marker.
  record='\001\000\000\000\000\000\000\000\112\000\000\000\112\000\000\000'
  zeros='\000\000\000\000\000\000\000\000\000\000'
  ethernet=$zeros'\000\000\010\000'
  index=0 all=''
  while [ "$index" -lt $((2 * $3)) ]; do
    [ $((index % 2)) -eq 1 ] || random_digits
    marker="<$digits>"
    [ $((index % 2)) -eq 0 ] || marker="[$digits]"
    copies=$forwarded target=$peer
    case "$fault,$index" in
      lost,3) copies=0 ;;
      doubled,3) copies=2 ;;
      wrong-view,3) target=$service ;;
      collector-loses,3) [ ! -e "$state/deleted" ] || copies=0 ;;
    esac
    while [ "$copies" -gt 0 ]; do
      # shellcheck disable=SC2059  # the bytes are the format
      printf "$record$ethernet\105$zeros\000$source$target$zeros$zeros$marker" >>"$capture"
      copies=$((copies - 1))
    done
    all="$all${all:+, }\"$marker\""
    index=$((index + 1))
  done
  printf '{"flow": "%s", "markers": [%s]}\n' "$1" "$all"
}

certificate() {
  if [ ! -e "$state/tls.crt" ]; then
    random_digits
    echo "$digits" >"$state/tls.crt"
  fi
  first_line tls.crt
  printf %s "$text"
}

# containers POD
containers() {
  case "$fault,$1" in
    untapped,client) printf ' client' ;;
    *,sensor) printf ' sensor' ;;
    *,opted-out) printf ' server' ;;
    *) printf 'sidetap %s' "$1" ;;
  esac
}

# of_new_tap: what a new pod's tap has is what the last release says, unless nobody of it came up.
of_new_tap() {
  case "$line,$fault,$release" in
    *SNAPLEN*,late-configuration,*) printf 262144 ;;
    *SNAPLEN*,*snaplen=1000*) printf 1000 ;;
    *SNAPLEN*) printf 262144 ;;
    *,broken-image,*sidetap-not-there*) printf sidetap-not-there ;;
    *) printf sidetap-sidecar ;;
  esac
}

# get_collectors: two of them, if the last release has any.
get_collectors() {
  case "$release" in
    *collector.enabled=true*) ;;
    *) return ;;
  esac
  for number in 1 2; do
    case "$line" in
      *podIP*) echo "10.244.7.$number" ;;
      *Ready*) echo "sidetap-collector-$number True " ;;
      *) echo "sidetap-collector-$number" ;;
    esac
  done
}

# get RESOURCE NAME...
get() {
  case "$line" in
    *component=collector*) get_collectors ;;
    *--raw*metrics*)
      connected=1 alone=0
      [ "$fault" != disconnected ] || connected=0
      [ "$fault" != alone ] || alone=1
      printf 'sidetap_captures{interface="eth0"} %s\nsidetap_registry_alone_total %s\n' "$connected" "$alone" ;;
    *--raw*) ;;
    *restartCount*)
      digits=0
      [ "$fault" != restarted ] || random_digits
      echo "uid-a $digits" ;;
    *app=running*podIP*) printf '10.244.1.4\n10.244.1.5\n10.244.1.6\n' ;;
    *metadata.uid*) echo '10.244.1.3 sidetap-e2e/server-a uid-a' ;;
    'get nodes '*) printf '172.18.0.2 172.18.0.3' ;;
    'get servicecidrs '*) printf 10.96.0.0/12 ;;
    *volumeMounts*)
      if [ "$fault" = api-token ]; then printf kube-api-access-x7k2p; else printf sidetap-nothing; fi ;;
    *podIP*) ip_of "$2" ;;
    *hostIP*) printf 172.18.0.2 ;;
    *nodePort*) printf 30080 ;;
    *initContainers*) containers "$2" ;;
    *job-name=batch*) printf batch-x ;;
    *app=server*) printf server-a ;;
    *component=webhook*) echo pod/sidetap-webhook-a ;;
    'get pods '*)
      case "$release" in
        *sidetap-not-there*) echo 'sidetap-webhook-b   0/1   Init:ErrImagePull   0   9s' ;;
      esac ;;
    *'ca\.crt'*)
      if [ "$fault,$release" = lost-ca,removed ]; then printf another; else printf authority; fi ;;
    *spec.replicas*) printf 1 ;;
    *tls*) certificate ;;
    *clusterroles*--selector*) [ "$fault" != left-over ] || echo clusterrole.rbac.authorization.k8s.io/left-over ;;
  esac
}

# ask FLOW KIND HOST PORT COUNT
ask() {
  case "$3" in
    [0-9]*) message "$1" "$3" "$5" ;;
    *) message "$1" "$(ip_of server-a)" "$5" ;;
  esac
}

kubectl() {
  case "$line" in
    'get '*) shift; get "$@" ;;
    'create '*--dry-run=server*)
      while read -r _; do :; done
      case "$line" in
        *'?(@.name'*) of_new_tap ;;
        *) if [ "$fault" = admission ]; then echo ' application'; else echo 'sidetap application'; fi ;;
      esac ;;
    'exec '*'traffic.py tls'*)
      while read -r _; do :; done
      [ "$fault" != not-proved ] || { echo 'certificate verify failed' >&2; exit 1; } ;;
    'exec '*traffic.py*)
      asker=$2
      shift $(($# - 5))
      ask "$@" ;;
    'exec '*registry.py*)
      while read -r _; do :; done
      case "$fault,$line" in
        identity,*identities*) echo '10.244.1.3: another pod'; exit 1 ;;
        not-moved,*10.244.9.10*) echo 'client is at another sensor'; exit 1 ;;
      esac ;;
    *'date -u'*) echo 2026-01-02T14:05:00Z ;;
    'exec second '*tar*) [ ! -d "$state/second" ] || exec tar -cf - -C "$state/second" . ;;
    'exec '*tar*)
      mkdir -p "$state/captures/second"
      # Nothing comes where the second sensor has no captures; the judge then misses them.
      tar -xf - -C "$state/captures/second" 2>/dev/null || true ;;
    'exec --stdin second '*)
      while [ "$1" != /captures ]; do shift; done
      shift
      exec /usr/bin/python3 -S "$CLUSTER_TESTS/judge.py" "$state/second" "$@" ;;
    'port-forward '*)
      # What the page answers, as far as it is asked for.
      [ "$fault" != page ] || exit 1
      exec /usr/bin/python3 "${0%/*}/fake_page.py" '<title>sidetap</title> 10.244.9.10:2003 "standing":"forwarding"' ;;
    'exec '*)
      while [ "$1" != /captures ]; do shift; done
      shift
      exec /usr/bin/python3 -S "$CLUSTER_TESTS/judge.py" "$state/captures" "$@" ;;
    'logs sidetap-test '*) echo 'Allow TCP 10250 from the control plane' ;;
    'logs sensor '*|'logs second '*) echo 'listening 0.0.0.0:2003' ;;
    'logs '*) message 'Job -> Service' "$(ip_of server-a)" 3 ;;
    'wait '*job/batch*)
      [ "$fault" != job ] || { echo 'error: timed out waiting for the condition on jobs/batch' >&2; exit 1; } ;;
    'patch '*) rm "$state/tls.crt" ;;
    'delete pod sidetap-collector-'*) : >"$state/deleted" ;;
  esac
}

# What a dump has written after a while is what the second sensor has by then.
sidetap() {
  case "$fault,$line" in
    dump,*' dump '*) exit 0 ;;
    not-tapped,*' tap '*) echo 'kubectl sidetap: sidetap-e2e-running/running-a: you lack rights' >&2; exit 1 ;;
    *' status -n sidetap-e2e') echo 'sidetap-e2e  client  yes  forwarding' ;;
    *' untap '*) : >"$state/untapped" ;;
    *' status '*)
      [ "$fault" = not-untapped ] || [ ! -e "$state/untapped" ] || return 0
      for pod in a b c; do echo "sidetap-e2e-running  running-$pod  sidetap  forwarding"; done ;;
    *' dump '*)
      while [ "$1" != -w ]; do shift; done
      while :; do
        # Not there before the first packet.
        cat "$state/second/10.244.1.1-1.pcap" >"$2" 2>/dev/null || true
        sleep 1
      done ;;
  esac
}

if [ "$program" = kubectl-sidetap ]; then
  sidetap "$@"
elif [ "$program" = kubectl ]; then
  kubectl "$@"
else
  case "$1" in
    uninstall) echo removed >"$state/release" ;;
    install|upgrade|rollback) echo "$line" >"$state/release" ;;
    test) [ "$fault" != helm-test ] || { echo 'Error: pod sidetap-test failed' >&2; exit 1; } ;;
  esac
fi
