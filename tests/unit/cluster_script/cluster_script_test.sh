#!/usr/bin/env bash
# tests/cluster/run.sh passes on a cluster that does as it is told, and fails on each fault that it is there to find.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cluster=$(cd "$here/../../cluster" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
. "$here/../../support/expect.sh"

mkdir "$work/bin"
for program in kubectl helm kubectl-sidetap; do cp "$here/fake_cluster.sh" "$work/bin/$program"; done
printf '#!/bin/sh\nexec /bin/sleep 0.05\n' >"$work/bin/sleep"
cp "$here/fake_page.py" "$work/bin/"
chmod +x "$work/bin"/*

export FAKE_CLUSTER="$work/cluster" CLUSTER_TESTS="$cluster" JUDGE_PATIENCE=0 RUN_PATIENCE=2
export KUBECTL_SIDETAP="$work/bin/kubectl-sidetap"

new_cluster() {
  rm -rf "$work/cluster"
  mkdir "$work/cluster"
  echo "$1" >"$work/cluster/fault"
}

# on_a_cluster FAULT: the script on a new one.
on_a_cluster() {
  new_cluster "$1"
  PATH="$work/bin:$PATH" "$cluster/run.sh" --registry registry.example.com/network --messages 4
}
# found_on_a_cluster FAULT: the same as far as the first check that fails.
found_on_a_cluster() { RUN_STOPS=yes on_a_cluster "$1"; }

# judged FAULT [OPTION...]: what the judge says of one flow.
judged() {
  new_cluster "$1"
  "$work/bin/kubectl" exec client -- python3 traffic.py ask flow tcp server 80 4 >"$work/markers"
  "$work/bin/kubectl" exec sensor -- python3 judge.py /captures "${@:2}" 10.96.0.0/12 <"$work/markers"
}

expect 0 "a good cluster passes" on_a_cluster none
says "0 failed" || fail_line "and says so"
says "client -> Service (TCP 80 -> 50051)" || fail_line "with the table of flows"
for address in 172.18.0.2 172.18.0.3; do
  says "client -> NodePort at $address (UDP)" || fail_line "with the NodePort at $address"
done
says "server -> partly tapped Service (TCP)" || fail_line "with the partly tapped Service"
says "client -> server (TCP), at the second sensor" || fail_line "with what the second sensor has"
says "client -> server-a (TCP), by collectors" || fail_line "with what went through collectors"
expect 1 "one value installs" grep -E -- "--set (subnets|registry)\." "$work/cluster/calls"
expect 0 "nothing of it stays" grep -q "helm uninstall" "$work/cluster/calls"
for fault in lost admission left-over job api-token alone late-configuration broken-image lost-ca \
  not-moved restarted identity page dump not-tapped not-untapped not-collected not-proved collector-loses; do
  expect 1 "fault \"$fault\" is found" found_on_a_cluster "$fault"
  says "^stopped at the first failure" || fail_line "by a check"
done
expect 1 "a failed helm test is found" found_on_a_cluster helm-test
says "Allow TCP 10250" || fail_line "with what its pod says"
expect 0 "the judge takes a good flow" judged none
for fault in lost doubled wrong-view; do
  expect 1 "the judge finds what is $fault" judged "$fault"
done
expect 0 "the judge takes what came from whom it should" judged none --through 10.244.7.1,10.244.1.1
expect 1 "the judge finds what came from somebody else" judged none --through 10.244.7.1
expect 1 "the judge finds what nobody should forward" judged none --unseen
expect 0 "what the registry says is compared" /usr/bin/python3 -B "$here/registry_test.py" "$cluster"
expect 1 "a client without a tap is found" on_a_cluster untapped
says "FAIL  the client has a tap" || fail_line "and named"
says "^[1-9][0-9]* failed" || fail_line "and the checks after it went on"
expect 2 "no registry is wrong use" "$cluster/run.sh"
expect 2 "an unknown option is wrong use" "$cluster/run.sh" --registry x --unknown
expect 0 "shellcheck finds nothing" shellcheck "$cluster/run.sh" "$here/fake_cluster.sh"
finish
