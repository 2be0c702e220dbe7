#!/usr/bin/env bash
# End to end on a real cluster: install, inject, capture, judge, upgrade, roll back, rotate, uninstall. Over 400 lines,
# because the steps share one state, and are read in their order.
set -euo pipefail

usage() {
  cat <<'USAGE'
Usage: tests/cluster/run.sh --registry REGISTRY [OPTION...]

Installs sidetap into the cluster of the current kubectl context, with the sensor's address alone, makes marked traffic
between pods, through Services, NodePorts and a partly tapped Service, and checks that a sensor gets every packet exactly
once, without exception, that a Job with a tap finishes, that upgrade, rollback, rotation and removal leave nothing
behind and miss no admission and no message, that running taps follow another sensor without losing or doubling one,
that the registry knows which pod had an address while pods come and go, that the page shows it, that kubectl sidetap
shows packets, taps running pods without a restart and gives them back, and that running taps go over to collectors, with
TLS, and back, while collectors are deleted, without losing or doubling a message. Needs kubectl, helm and these images,
which the nodes must be able to pull: REGISTRY/sidetap-webhook:TAG, REGISTRY/sidetap-sidecar:TAG and
REGISTRY/sidetap-testbed:TAG (deploy/docker/build.sh --testbed builds and pushes all three). Makes and removes the
namespaces sidetap-e2e, sidetap-e2e-running and sidetap-e2e-sensor and the one of the release. Exits 0 when every check held.

  --registry REGISTRY    where the images are; "" for images that the nodes have already
  --tag TAG              their tag                                (default: the chart's version)
  --pull-policy POLICY   Always, IfNotPresent or Never            (default IfNotPresent)
  --namespace NAME       namespace of the release, which is made  (default sidetap-e2e-system)
  --pods CIDR[,CIDR]     subnets of pods, for subnets.pods        (default: sidetap is not told them)
  --services CIDR[,CIDR] subnets of Services, which the judge looks for; sidetap is not told them
                         (default: what the ServiceCIDRs say, from server 1.33 on)
  --certificates MODE    selfManaged or existingSecret            (default selfManaged)
  --set KEY=VALUE        more values for helm; may be repeated
  --messages N           messages a flow                          (default 50)
  --keep                 leave everything in place at the end
USAGE
}

here=$(cd "$(dirname "$0")" && pwd)
chart=$here/../../deploy/helm/sidetap
certs=$here/../../certs-scripts
registry='' tag='' pull_policy=IfNotPresent namespace=sidetap-e2e-system services=''
certificates=selfManaged messages=50 keep=no registry_given=no
settings=()
while [ $# -gt 0 ]; do
  case "$1" in
    -h|--help) usage; exit 0 ;;
    --keep) keep=yes; shift; continue ;;
    --registry|--tag|--pull-policy|--namespace|--pods|--services|--certificates|--set|--messages)
      [ $# -ge 2 ] || { echo "run.sh: $1 needs a value" >&2; exit 2; } ;;
    *) echo "run.sh: unknown option $1 (see --help)" >&2; exit 2 ;;
  esac
  case "$1" in
    --registry) registry=${2%/} registry_given=yes ;;
    --tag) tag=$2 ;;
    --pull-policy) pull_policy=$2 ;;
    --namespace) namespace=$2 ;;
    --pods) settings+=(--set "subnets.pods={$2}") ;;
    --services) services=$2 ;;
    --certificates) certificates=$2 ;;
    --set) settings+=(--set "$2") ;;
    --messages) messages=$2 ;;
  esac
  shift 2
done
[ "$registry_given" = yes ] || { usage >&2; exit 2; }
case "$certificates" in
  selfManaged|existingSecret) ;;
  *) echo "run.sh: --certificates $certificates: selfManaged or existingSecret is accepted" >&2; exit 2 ;;
esac
for program in kubectl helm; do
  command -v "$program" >/dev/null || { echo "run.sh: $program is needed" >&2; exit 2; }
done
tag=${tag:-$(sed -n 's/^appVersion: //p' "$chart/Chart.yaml")}
testbed=${registry:+$registry/}sidetap-testbed:$tag

work=$(mktemp -d)
# Where the markers of messages go, and the judge looks for them.
marked=$work/markers
failures=0
load_pids=()
sensor=sensor
release=sidetap
webhook=sidetap-webhook
secret=sidetap-self-managed-tls
[ "$certificates" = selfManaged ] || secret=sidetap-webhook-tls

clean_up() {
  local status=$?
  rm -f "$work/load"
  [ "${#load_pids[@]}" -eq 0 ] || kill "${load_pids[@]}" 2>/dev/null || true
  if [ "$keep" = no ]; then
    kubectl delete namespace sidetap-e2e sidetap-e2e-running sidetap-e2e-sensor --ignore-not-found --wait=false >/dev/null 2>&1 || true
    kubectl delete clusterrolebinding sidetap-e2e-reader --ignore-not-found >/dev/null 2>&1 || true
    helm uninstall "$release" --namespace "$namespace" >/dev/null 2>&1 || true
    kubectl delete namespace "$namespace" --ignore-not-found --wait=false >/dev/null 2>&1 || true
  fi
  rm -rf "$work"
  exit "$status"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

stage() { printf '\n== %s\n' "$1"; }

# check NAME COMMAND...: one thing that must hold. The test of this script sets RUN_STOPS, so that the first that does not ends it.
check() {
  local name=$1
  shift
  if "$@" >"$work/output" 2>&1; then
    echo "ok    $name"
  else
    echo "FAIL  $name"
    sed 's/^/      /' "$work/output"
    failures=$((failures + 1))
    [ -z "${RUN_STOPS:-}" ] || {
      [ ! -e "$work/load" ] || stop_load
      echo "stopped at the first failure"
      exit 1
    }
  fi
}

# must NAME COMMAND...: the same, and without it nothing else makes sense.
must() {
  local before=$failures
  check "$@"
  [ "$failures" -eq "$before" ] || { echo "stopped: nothing after this can hold"; exit 1; }
}

# eventually SECONDS COMMAND... The test of this script sets RUN_PATIENCE, the seconds of all of them.
eventually() {
  local deadline=$((SECONDS + ${RUN_PATIENCE:-$1}))
  shift
  until "$@"; do
    [ "$SECONDS" -lt "$deadline" ] || return 1
    sleep 2
  done
}

containers_of() {
  kubectl get pod "$1" --namespace "${2:-sidetap-e2e}" \
    -o 'jsonpath={.spec.initContainers[*].name} {.spec.containers[*].name}'
}
# No grep -q behind a pipe: it would end before kubectl has written, and kubectl would fail.
is_tapped() { containers_of "$1" | tr ' ' '\n' | grep -x sidetap >/dev/null; }
is_not_tapped() { ! is_tapped "$1"; }
# has_no_api_token POD: the server's service account plug-in comes by again after the webhook, and serves every container
# that has nothing of its own at this path.
has_no_api_token() {
  local volume of_tap='[?(@.name=="sidetap")].volumeMounts[?(@.mountPath=="/var/run/secrets/kubernetes.io/serviceaccount")].name'
  volume=$(kubectl get pod "$1" --namespace sidetap-e2e -o "jsonpath={.spec.initContainers$of_tap}{.spec.containers$of_tap}") ||
    return 1
  case "$volume" in
    kube-api-access-*) echo "the tap of $1 has the application's token: volume $volume"; false ;;
  esac
}
metrics_of() { kubectl get --raw "/api/v1/namespaces/sidetap-e2e/pods/$1:15920/proxy/metrics"; }
forwards() { metrics_of "$1" | grep -E '^sidetap_captures(\{[^}]*\})? [1-9]' >/dev/null; }
ip_of() { kubectl get pod "$1" --namespace "${2:-sidetap-e2e}" -o 'jsonpath={.status.podIP}'; }
servers() { kubectl get pods --namespace sidetap-e2e --selector app=server -o 'jsonpath={.items[*].metadata.name}'; }
# The old ones of a rollout have gone.
two_servers() { [ "$(servers | wc -w)" -eq "$(kubectl get deployment server --namespace sidetap-e2e -o 'jsonpath={.spec.replicas}')" ]; }
fill_in() { sed -e "s#@IMAGE@#$testbed#g" -e "s#@PULL_POLICY@#$pull_policy#g" "$here/$1"; }
sensor_listens() { kubectl logs "$1" --namespace sidetap-e2e-sensor | grep listening >/dev/null; }

# ask POD FLOW KIND HOST PORT: marked messages from a pod; their markers are kept for the judge.
ask() {
  local container=$1
  case "$1" in
    opted-out|server-*) container=server ;;
  esac
  kubectl exec "$1" --namespace sidetap-e2e --container "$container" -- \
    python3 /usr/local/bin/traffic.py ask "$2" "$3" "$4" "$5" "$messages" | tee -a "$marked" >/dev/null
}
# ask_of_all TIMES POD FLOW KIND HOST PORT: connection after connection, so that every backend of a Service gets some.
ask_of_all() {
  local times=$1
  shift
  while [ "$times" -gt 0 ]; do
    ask "$@" || return 1
    times=$((times - 1))
  done
}
node_port() { kubectl get service server --namespace sidetap-e2e -o "jsonpath={.spec.ports[?(@.name==\"$1\")].nodePort}"; }
# node_addresses: of the client's own node, and of another where there is one.
node_addresses() {
  local own
  own=$(kubectl get pod client --namespace sidetap-e2e -o 'jsonpath={.status.hostIP}')
  echo "$own"
  kubectl get nodes -o 'jsonpath={.items[*].status.addresses[?(@.type=="InternalIP")].address}' | tr ' ' '\n' |
    grep -F . | grep -vxF "$own" | sed -n 1p
}

# judge [HIDDEN-CIDR...]: each message once, and none with an address of these.
judge() {
  kubectl exec --stdin sensor --namespace sidetap-e2e-sensor -- \
    python3 /usr/local/bin/judge.py /captures "$@" <"$marked" >"$work/verdict"
}
# shellcheck disable=SC2046  # a list of subnets
judge_pods_view() { judge $(tr ',' ' ' <<<"$services"); }

install() {
  helm "$1" "$release" "$chart" --namespace "$namespace" "${@:2}" \
    --set "image.registry=$registry" --set-string "image.tag=$tag" --set "image.pullPolicy=$pull_policy" \
    --set "sensor.address=$(ip_of "$sensor" sidetap-e2e-sensor)" \
    --set "certificates.mode=$certificates" --set tests.namespace=sidetap-e2e-sensor \
    "${settings[@]}"
}

# gather: what the second sensor has goes to the first, where the judge looks at both.
gather() {
  sleep 10
  kubectl exec second --namespace sidetap-e2e-sensor -- tar -cf - -C /captures . |
    kubectl exec --stdin sensor --namespace sidetap-e2e-sensor -- \
      sh -c 'mkdir -p /captures/second && tar -xf - -C /captures/second'
}
judge_both() { gather && judge_pods_view; }
# judge_second [OPTION...]: each message once at the second sensor.
judge_second() {
  kubectl exec --stdin second --namespace sidetap-e2e-sensor -- \
    python3 /usr/local/bin/judge.py /captures "$@" <"$marked" >"$work/verdict"
}

# tapped_pods: which pods there are, and how often their containers have begun anew.
tapped_pods() {
  local restarts='{.status.initContainerStatuses[*].restartCount} {.status.containerStatuses[*].restartCount}'
  kubectl get pods --namespace sidetap-e2e -o "jsonpath={range .items[*]}{.metadata.uid} $restarts{\"\\n\"}{end}"
}
no_pod_was_restarted() { [ "$(tapped_pods)" = "$pods_before" ]; }

# may_read: the pod of the sensor asks the registry with a token of this account.
may_read() {
  kubectl create serviceaccount reader --namespace sidetap-e2e-sensor &&
    kubectl create clusterrolebinding sidetap-e2e-reader --clusterrole="$release-identities-reader" \
      --serviceaccount=sidetap-e2e-sensor:reader
}
# ask_registry COMMAND...: what registry.py says; standard input are its records.
ask_registry() {
  local token authority
  token=$(kubectl create token reader --namespace sidetap-e2e-sensor) || return 1
  authority=$(kubectl get secret "$secret" --namespace "$namespace" -o 'jsonpath={.data.ca\.crt}') || return 1
  { printf '%s\n%s\n' "$token" "$authority" && cat; } |
    kubectl exec --stdin sensor --namespace sidetap-e2e-sensor -- \
      python3 /usr/local/bin/registry.py "$release-registry.$namespace.svc:8444" "$@"
}
taps_are_at() { ask_registry taps sidetap-e2e "$(ip_of "$1" sidetap-e2e-sensor):2003" </dev/null; }
identities_are_right() { ask_registry identities <"$work/identities"; }

# note_identities: which pod has which address, by kubectl, at a time of the cluster's own clock.
note_identities() {
  local now
  # The tap has had the time to prove it, and times are whole seconds.
  sleep 5
  now=$(kubectl exec sensor --namespace sidetap-e2e-sensor -- date -u +%Y-%m-%dT%H:%M:%SZ) || return 1
  kubectl get pods --namespace sidetap-e2e --selector app=server -o \
    'jsonpath={range .items[*]}{.status.podIP} {.metadata.namespace}/{.metadata.name} {.metadata.uid}{"\n"}{end}' |
    sed "s/^/$now /" >>"$work/identities"
}
# new_servers: every server is another pod, perhaps at the address of one that was there before.
new_servers() {
  local pod
  kubectl rollout restart deployment/server --namespace sidetap-e2e &&
    kubectl rollout status deployment/server --namespace sidetap-e2e --timeout=180s &&
    eventually 60 two_servers || return 1
  for pod in $(servers); do eventually 60 forwards "$pod" || return 1; done
  note_identities
}

# page PATH: what the webhook's page answers, through the API server.
page() {
  local port
  port=$(sed -n 's/^Forwarding from 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$work/forward" | sed -n 1p)
  [ -n "$port" ] || return 1
  exec 3<>"/dev/tcp/127.0.0.1/$port" || return 1
  printf 'GET %s HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n' "$1" "$port" >&3
  cat <&3
  exec 3>&-
}
page_says() { page "$1" | grep -F "$2" >/dev/null; }

# As an operator calls it. The test of this script sets KUBECTL_SIDETAP.
plugin=("${KUBECTL_SIDETAP:-$here/../../deploy/kubectl/kubectl-sidetap}" --system-namespace "$namespace")
# status_shows COUNT NAMESPACE EXPRESSION: so many lines of it.
status_shows() {
  # It exits 1 where anything needs attention; here only its lines count.
  { "${plugin[@]}" status -n "$2" || true; } >"$work/status"
  cat "$work/status"
  [ "$(grep -cE "$3" "$work/status")" -eq "$1" ]
}
# running_pods [FIELDS]: a line for each of those that run before their taps.
running_pods() {
  local fields=${1:-'{.metadata.uid} {.status.containerStatuses[*].restartCount}'}
  kubectl get pods --namespace sidetap-e2e-running --selector app=running -o "jsonpath={range .items[*]}$fields{\"\\n\"}{end}"
}
no_running_pod_was_restarted() { [ "$(running_pods)" = "$running_before" ]; }
# ask_running POD FLOW: messages from a pod to each of them.
ask_running() {
  local address
  for address in $(running_pods '{.status.podIP}'); do ask "$1" "$2" tcp "$address" 8000 || return 1; done
}
# dump_shows_a_request: what a dump writes has a message in it three seconds after that was sent.
dump_shows_a_request() {
  local dumping marker shown=0
  "${plugin[@]}" dump client -n sidetap-e2e -w "$work/dump.pcapng" --time 30s tcp port 50051 &
  dumping=$!
  sleep 5
  : >"$work/markers"
  ask client "client -> server (TCP), dumped" tcp "$server_ip" 50051
  marker=$(grep -o '<[0-9a-f]*>' "$work/markers" | sed -n 1p)
  eventually 3 grep -aqF "$marker" "$work/dump.pcapng" || shown=1
  # It may have ended by itself, at its bound of time.
  kill "$dumping" 2>/dev/null || true
  wait "$dumping" 2>/dev/null || true
  return "$shown"
}

# of_collectors FIELDS: a line for each collector.
of_collectors() {
  kubectl get pods --namespace "$namespace" --selector app.kubernetes.io/component=collector \
    -o "jsonpath={range .items[*]}$1{\"\\n\"}{end}"
}
# collectors_run COUNT: so many, and none that is about to start or to end.
collectors_run() {
  local pods
  pods=$(of_collectors '{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.metadata.deletionTimestamp}') || return 1
  [ "$(grep -c . <<<"$pods")" -eq "$1" ] && [ "$(grep -cE ' True ?$' <<<"$pods")" -eq "$1" ]
}
# goes_through_collectors: of every tap something, by messages that nobody else judges.
goes_through_collectors() {
  local marked=$work/probe pod addresses
  addresses=$(of_collectors '{.status.podIP}' | paste -s -d , -)
  [ -n "$addresses" ] || return 1
  : >"$marked"
  ask client "client -> opted-out (TCP), by collectors" tcp "$(ip_of opted-out)" 8080 || return 1
  for pod in $(servers); do
    ask client "client -> $pod (TCP), by collectors" tcp "$(ip_of "$pod")" 50051 || return 1
  done
  judge_second --through "$addresses"
}
# collectors_prove_themselves: they speak TLS, by the CA that the taps have for the registry.
collectors_prove_themselves() {
  local authority
  authority=$(kubectl get secret "$secret" --namespace "$namespace" -o 'jsonpath={.data.ca\.crt}') || return 1
  printf '%s\n' "$authority" | kubectl exec --stdin sensor --namespace sidetap-e2e-sensor -- \
    python3 /usr/local/bin/traffic.py tls "$release-collector.$namespace.svc" 2003
}
# settle_and_judge: nothing was missed, restarted, lost or doubled since the load began.
settle_and_judge() {
  # What comes twice comes a little later.
  sleep 5
  stop_load
  check "every pod of the meantime got its tap" none_missed
  check "no pod was restarted" no_pod_was_restarted
  check "every message of the meantime is seen once" judge_second
  sed 's/^/      /' "$work/verdict"
}

# As the install guide says it.
helm_test() {
  helm test "$release" --namespace "$namespace" ||
    { kubectl logs "$release-test" --namespace "$namespace"; false; }
}

# trial [FIELDS]: a pod by a dry run; prints the names of its containers, or these fields of its tap.
trial() {
  local of_tap='[?(@.name=="sidetap")]' fields='{.spec.initContainers[*].name} {.spec.containers[*].name}{"\n"}'
  [ $# -eq 0 ] || fields="{.spec.initContainers$of_tap$1}{.spec.containers$of_tap$1}"
  kubectl create --dry-run=server --namespace sidetap-e2e -o "jsonpath=$fields" \
    -f - <<'POD'
apiVersion: v1
kind: Pod
metadata: {generateName: trial-}
spec:
  containers: [{name: application, image: example.invalid/never-pulled}]
POD
}

# over_and_over COMMAND...: as long as the file is there.
over_and_over() {
  while [ -e "$work/load" ]; do
    "$@" || true
    sleep 0.2
  done
}
# Asks for pods, a line for each: what containers came back. And sends messages, from pod to pod: views of a Service may
# come twice while a replica of the webhook is new.
start_load() {
  : >"$work/trials"
  : >"$work/markers"
  : >"$work/load"
  over_and_over trial >>"$work/trials" 2>&1 &
  load_pids=($!)
  over_and_over ask client "client -> server (TCP), meanwhile" tcp "$server_ip" 50051 >/dev/null 2>&1 &
  load_pids+=($!)
}
stop_load() {
  rm "$work/load"
  wait "${load_pids[@]}"
  load_pids=()
}
# none_missed: every pod of the meantime has its tap.
none_missed() {
  local asked missed
  asked=$(wc -l <"$work/trials")
  missed=$(grep -cvw sidetap "$work/trials" || true)
  echo "$asked pods asked for, $missed without a tap"
  grep -vw sidetap "$work/trials" | sort | uniq -c | head -5 || true
  [ "$asked" -gt 0 ] && [ "$missed" -eq 0 ]
}

webhook_pods() { kubectl get pods --namespace "$namespace" --selector app.kubernetes.io/component=webhook -o name; }
# The stopping ones answer the taps until these have found the new ones.
old_webhooks_are_gone() {
  [ "$(webhook_pods | wc -l)" -eq "$(kubectl get deployment "$webhook" --namespace "$namespace" -o 'jsonpath={.spec.replicas}')" ]
}
# never_alone POD: its tap has not held its peers for untapped because no replica answered.
never_alone() { ! metrics_of "$1" | grep -E '^sidetap_registry_alone_total [1-9]'; }

rollout() { kubectl rollout status "deployment/$webhook" --namespace "$namespace" --timeout=180s; }
served_certificate() {
  kubectl get secret "$secret" --namespace "$namespace" -o 'jsonpath={.data.tls\.crt}'
}
certificate_changed() {
  local now
  now=$(served_certificate)
  [ -n "$now" ] && [ "$now" != "$certificate_before" ]
}

# rotate: a new certificate while the webhook serves. In self-managed mode the webhook makes a leaf when it misses one.
rotate() {
  certificate_before=$(served_certificate)
  if [ "$certificates" = existingSecret ]; then
    "$certs/rotate.sh" --dir "$work/certificates" --namespace "$namespace"
  else
    kubectl patch secret "$secret" --namespace "$namespace" --type=json \
      -p '[{"op":"remove","path":"/data/tls.crt"},{"op":"remove","path":"/data/tls.key"}]'
  fi
  eventually 120 certificate_changed
}

# snaplen_is NUMBER: new pods' taps have it.
snaplen_is() { [ "$(trial '.env[?(@.name=="SNAPLEN")].value')" = "$1" ]; }
new_pods_wait_for_their_image() { kubectl get pods --namespace "$namespace" | grep -E 'Init:(ErrImagePull|ImagePullBackOff|ErrImageNeverPull)' >/dev/null; }

# nothing_left: no object of the release anywhere, but the CA, which taps that still run know the next registry by.
nothing_left() {
  local left
  left=$(kubectl get "mutatingwebhookconfigurations,clusterroles,clusterrolebindings,validatingadmissionpolicies,validatingadmissionpolicybindings" \
    --selector "app.kubernetes.io/instance=$release" -o name --ignore-not-found 2>/dev/null || true)
  left+=$'\n'$(kubectl get "deployments,statefulsets,horizontalpodautoscalers,services,configmaps,secrets,serviceaccounts,roles,rolebindings,poddisruptionbudgets,pods,networkpolicies" \
    --all-namespaces --selector "app.kubernetes.io/instance=$release" -o name --ignore-not-found)
  # In the other mode the Secret is the operator's, and goes with the namespace.
  [ "$certificates" != selfManaged ] || left+=$'\n'$(kubectl get secrets --namespace "$namespace" -o name --ignore-not-found)
  # grep fails when it leaves nothing, which is what is hoped for.
  left=$(grep -vx -e "secret/$secret" -e '' <<<"$left" || true)
  [ -z "$left" ] || { echo "$left"; false; }
}

stage "the cluster"
must "kubectl reaches it" kubectl get --raw /readyz
kubectl version 2>/dev/null | sed 's/^/      /'
if [ -z "$services" ]; then
  services=$(kubectl get servicecidrs -o 'jsonpath={.items[*].spec.cidrs[*]}' 2>/dev/null | tr ' ' ',') || true
  [ -n "$services" ] || { echo "FAIL  the server names no ServiceCIDRs: give --services"; exit 1; }
fi
echo "      Services $services, images ${registry:-(the nodes own)} $tag"

stage "the sensor, outside of the taps"
fill_in workloads.yaml >"$work/workloads.yaml"
# The namespaces and the sensor first: the workloads must find the webhook.
must "its namespaces" kubectl create namespace sidetap-e2e-sensor
must "it is made" kubectl apply -f "$work/workloads.yaml" --selector app=sensor
must "it and a second one run" \
  kubectl wait --for=condition=Ready pod/sensor pod/second --namespace sidetap-e2e-sensor --timeout=180s
for pod in sensor second; do must "$pod listens" eventually 60 sensor_listens "$pod"; done

stage "installation"
must "the chart is installed" install install --create-namespace
if [ "$certificates" = existingSecret ]; then
  must "its certificates are installed" "$certs/install.sh" --dir "$work/certificates" --namespace "$namespace"
fi
must "the webhook becomes ready" rollout
check "helm test" helm_test
check "a dry run leaves nothing" test -z "$(kubectl get pods --namespace sidetap-e2e-sensor -o name | grep selftest || true)"

stage "injection"
must "workloads are made" kubectl apply -f "$work/workloads.yaml"
must "servers run" kubectl rollout status deployment/server --namespace sidetap-e2e --timeout=180s
must "clients run" kubectl wait --for=condition=Ready pod/client pod/opted-out --namespace sidetap-e2e --timeout=180s
check "the client has a tap" is_tapped client
for pod in $(servers); do check "the server $pod has a tap" is_tapped "$pod"; done
check "who opted out has none" is_not_tapped opted-out
check "the tap has no token for the API" has_no_api_token client
check "the sensor has none" test "$(containers_of sensor sidetap-e2e-sensor)" = " sensor"
for pod in client $(servers); do
  must "the tap of $pod connects, and the sensor captures" eventually 120 forwards "$pod"
done
# What the registry has to say reaches every tap within seconds.
sleep 10

stage "traffic: every packet once"
: >"$work/markers"
server_ip=$(ip_of "$(servers | cut -d' ' -f1)")
check "client -> Service, TCP to a high port" ask client "client -> Service (TCP 80 -> 50051)" tcp server 80
check "client -> Service, UDP as DNS" ask client "client -> Service (UDP 53 -> 5353)" udp server 53
check "client -> server, TCP" ask client "client -> server (TCP 50051)" tcp "$server_ip" 50051
check "client -> server, UDP" ask client "client -> server (UDP 5353)" udp "$server_ip" 5353
check "client -> opted-out pod" ask client "client -> opted-out (TCP)" tcp "$(ip_of opted-out)" 8080
check "opted-out pod -> Service" ask opted-out "opted-out -> Service (TCP)" tcp server 80
check "opted-out pod -> client" ask opted-out "opted-out -> client (UDP)" udp "$(ip_of client)" 8000
# The client's tap leaves these to the backend's, which sees them come from a node.
for address in $(node_addresses); do
  check "client -> NodePort at $address, TCP" \
    ask_of_all 4 client "client -> NodePort at $address (TCP)" tcp "$address" "$(node_port web)"
  check "client -> NodePort at $address, UDP" \
    ask_of_all 4 client "client -> NodePort at $address (UDP)" udp "$address" "$(node_port dns)"
done
server_pod=$(servers | cut -d' ' -f1)
check "server -> client, a backend of a partly tapped Service" \
  ask "$server_pod" "server -> client (TCP)" tcp "$(ip_of client)" 8000
fill_in job.yaml >"$work/job.yaml"
check "a Job is made" kubectl apply -f "$work/job.yaml"
check "it finishes, with its tap" kubectl wait --for=condition=complete job/batch --namespace sidetap-e2e --timeout=120s
job_pod=$(kubectl get pods --namespace sidetap-e2e --selector job-name=batch -o 'jsonpath={.items[0].metadata.name}')
check "its pod had one" is_tapped "$job_pod"
kubectl logs "$job_pod" --namespace sidetap-e2e --container batch >>"$work/markers" || true
check "the sensor has each message once, in the pods' view" judge_pods_view
sed 's/^/      /' "$work/verdict"
: >"$work/markers"
check "client -> Service of an untapped pod" ask client "client -> untapped Service (UDP 53 -> 8080)" udp untapped 53
check "server -> partly tapped Service" ask_of_all 8 "$server_pod" "server -> partly tapped Service (TCP)" tcp mixed 80
check "are seen once too, in the client's view" judge
sed 's/^/      /' "$work/verdict"

stage "a configuration is in force when its rollout has ended, and a broken one never"
check "upgrade" install upgrade --reset-values --set sidecar.snaplen=1000
check "rolled out" rollout
check "new pods have it" snaplen_is 1000
image=$(trial .image)
check "upgrade to an image that does not exist" install upgrade --reset-values --set image.sidecar.repository=sidetap-not-there
check "the webhook's new pod cannot pull it" eventually 120 new_pods_wait_for_their_image
check "new pods have the old one" test "$(trial .image)" = "$image"
check "rollback" helm rollback "$release" --namespace "$namespace"
check "rolled out" rollout
check "new pods have the one of before" test "$(trial .image)" = "$image"
check "old webhooks have stopped" eventually 180 old_webhooks_are_gone

stage "change under load: no admission is missed, no message is lost or doubled"
start_load
check "upgrade" install upgrade --reset-values --set "webhook.podAnnotations.sidetap-e2e=changed"
check "rolled out" rollout
check "rollback" helm rollback "$release" --namespace "$namespace"
check "rolled out" rollout
check "rotation of the certificate" rotate
check "the webhooks of before have stopped" eventually 180 old_webhooks_are_gone
# The new certificate is served by now or soon; who cannot reach the registry says so after 15 seconds.
sleep 20
stop_load
check "every pod of the meantime got its tap" none_missed
sed 's/^/      /' "$work/output"
for pod in client $(servers); do check "the tap of $pod was never without the registry" never_alone "$pod"; done
check "every message of the meantime is seen once" judge_pods_view
sed 's/^/      /' "$work/verdict"
check "taps forward as before" forwards client
: >"$work/markers"
check "traffic after all that" ask client "client -> Service (TCP), afterwards" tcp server 80
check "is seen once" judge_pods_view
sed 's/^/      /' "$work/verdict"

stage "another sensor: running taps follow, no pod is restarted, no message is lost or doubled"
check "an account may ask the registry" may_read
check "the registry sees the taps at the sensor" eventually 30 taps_are_at sensor
pods_before=$(tapped_pods)
start_load
sensor=second
check "upgrade" install upgrade --reset-values
check "rolled out" rollout
check "every tap is at the second sensor" eventually 120 taps_are_at second
sleep 5
stop_load
check "every pod of the meantime got its tap" none_missed
check "no pod was restarted" no_pod_was_restarted
check "every message of the meantime is seen once, by one of the sensors" judge_both
sed 's/^/      /' "$work/verdict"
: >"$work/markers"
check "traffic after that" ask client "client -> server (TCP), at the second sensor" tcp "$server_ip" 50051
check "is seen once there" judge_second
sed 's/^/      /' "$work/verdict"

stage "the page, through port-forward"
kubectl port-forward "deployment/$webhook" --namespace "$namespace" :8446 >"$work/forward" 2>&1 &
load_pids=($!)
check "it answers" eventually 30 page_says / "<title>sidetap</title>"
check "it shows the second sensor" eventually 30 page_says /api/overview "$(ip_of second sidetap-e2e-sensor):2003"
check "it shows the client's tap" page_says /api/taps/sidetap-e2e/client '"standing":"forwarding"'
# It ends by itself when the pod goes; what it answered has been checked.
kill "${load_pids[@]}" 2>/dev/null || true
load_pids=()

stage "kubectl sidetap: packets now, and taps for pods that run already"
check "status shows the client's tap" status_shows 1 sidetap-e2e ' client +yes +forwarding'
check "a dump shows a request within seconds" dump_shows_a_request
fill_in running.yaml >"$work/running.yaml"
check "three pods without a tap are made" kubectl apply -f "$work/running.yaml"
check "they run" kubectl rollout status deployment/running --namespace sidetap-e2e-running --timeout=180s
running_before=$(running_pods)
: >"$work/markers"
check "client -> running pods, which have no taps yet" ask_running client "client -> running (TCP), before"
check "the client's tap forwards each message once" judge_second
sed 's/^/      /' "$work/verdict"
: >"$work/load"
over_and_over ask_running opted-out "opted-out -> running, meanwhile" >/dev/null 2>&1 &
load_pids=($!)
check "they are tapped under traffic" "${plugin[@]}" tap deployment/running -n sidetap-e2e-running --for 15m
check "status shows their taps" eventually 30 status_shows 3 sidetap-e2e-running ' sidetap +forwarding'
stop_load
: >"$work/markers"
check "opted-out pod -> running pods" ask_running opted-out "opted-out -> running (TCP)"
check "client -> running pods" ask_running client "client -> running (TCP)"
check "the sensor has each message once" judge_second
sed 's/^/      /' "$work/verdict"
check "they are given back" "${plugin[@]}" untap deployment/running -n sidetap-e2e-running
check "no pod was restarted" no_running_pod_was_restarted
check "status shows no tap of theirs any more" eventually 30 status_shows 0 sidetap-e2e-running ' sidetap +forwarding'
sleep 5
: >"$work/markers"
check "opted-out pod -> running pods, afterwards" ask_running opted-out "opted-out -> running (TCP), afterwards"
check "nobody forwards these" judge_second --unseen
sed 's/^/      /' "$work/verdict"
: >"$work/markers"
check "client -> running pods, afterwards" ask_running client "client -> running (TCP), afterwards"
check "the client's tap forwards each message once" judge_second
sed 's/^/      /' "$work/verdict"

stage "pods come and go under traffic: the registry knows which one had an address"
: >"$work/identities"
: >"$work/load"
over_and_over ask client "client -> Service (TCP), meanwhile" tcp server 80 >/dev/null 2>&1 &
load_pids=($!)
check "who is there is noted" note_identities
for round in 1 2 3 4; do check "other servers, $round" new_servers; done
stop_load
check "every address was the pod's that kubectl named" identities_are_right
sed 's/^/      /' "$work/output"

# Who brings the webhook's certificate brings the collectors', too, which this script does not.
if [ "$certificates" = selfManaged ]; then
  stage "collectors: running taps go over to them and back, and one that is deleted takes nothing with it"
  # What the chart requests for them may be more than a small cluster has left.
  with_collectors=(--reset-values --set collector.enabled=true --set collector.replicas=2
    --set collector.resources.requests.cpu=100m)
  pods_before=$(tapped_pods)
  server_ip=$(ip_of "$(servers | cut -d' ' -f1)")
  start_load
  check "upgrade" install upgrade "${with_collectors[@]}"
  check "rolled out" rollout
  check "two collectors run" eventually 180 collectors_run 2
  check "every tap sends to them" eventually 120 goes_through_collectors
  sed 's/^/      /' "$work/verdict"
  settle_and_judge
  check "collectors prove themselves to taps" collectors_prove_themselves
  start_load
  for pod in $(of_collectors '{.metadata.name}'); do
    check "$pod is deleted, in good order" kubectl delete pod "$pod" --namespace "$namespace" --timeout=120s
    check "another takes its place" eventually 180 collectors_run 2
  done
  check "every tap sends to those that are left or new" eventually 120 goes_through_collectors
  settle_and_judge
  start_load
  check "upgrade to no collectors" install upgrade --reset-values
  check "rolled out" rollout
  check "every tap is at the second sensor again" eventually 120 taps_are_at second
  settle_and_judge
fi

if [ "$keep" = no ]; then
  stage "removal"
  authority=$(kubectl get secret "$secret" --namespace "$namespace" -o 'jsonpath={.data.ca\.crt}')
  check "helm uninstall" helm uninstall "$release" --namespace "$namespace" --wait
  # The webhook's pods take their time: webhook.drainSeconds.
  check "nothing is left of the release" eventually 120 nothing_left
  check "the CA is kept" test "$(kubectl get secret "$secret" --namespace "$namespace" -o 'jsonpath={.data.ca\.crt}')" = "$authority"
  check "pods are made as before, without taps" trial
  check "the tapped workloads still run" kubectl wait --for=condition=Ready pod/client --namespace sidetap-e2e --timeout=30s
  check "its namespaces are removed" kubectl delete namespace sidetap-e2e sidetap-e2e-running sidetap-e2e-sensor "$namespace" --timeout=180s
fi

echo
echo "$failures failed"
[ "$failures" -eq 0 ]
