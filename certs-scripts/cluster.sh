# shellcheck shell=sh
# How install.sh and rotate.sh write to the cluster: the Secret and the caBundle. Sourced, not run.
# shellcheck disable=SC2154  # namespace, secret and configuration are the script's

# write_secret CA-BUNDLE CERTIFICATE KEY: files. Server-side, so that the key is not copied into an annotation.
write_secret() {
  kubectl create secret generic "$secret" --namespace "$namespace" --type=kubernetes.io/tls \
    --from-file=ca.crt="$1" --from-file=tls.crt="$2" --from-file=tls.key="$3" --dry-run=client -o yaml |
    kubectl apply --server-side --force-conflicts --field-manager=sidetap-certs -f - >/dev/null
  echo "wrote Secret $namespace/$secret"
}

# read_secret KEY FILE: one file of the Secret.
read_secret() {
  kubectl get secret "$secret" --namespace "$namespace" \
    -o "jsonpath={.data.$(printf '%s' "$1" | sed 's/\./\\./g')}" | base64 -d >"$2"
}

# write_ca_bundle FILE: into every entry of the webhook configuration. Each entry's name is tested in the same
# patch, so that an entry that moved meanwhile is an error and not a mistake.
write_ca_bundle() {
  bundle=$(base64 <"$1" | tr -d '\n')
  entries=$(kubectl get mutatingwebhookconfiguration "$configuration" -o 'jsonpath={.webhooks[*].name}')
  [ -n "$entries" ] || fail "MutatingWebhookConfiguration $configuration has no entries"
  patch='' index=0
  for entry in $entries; do
    patch="$patch${patch:+,}{\"op\":\"test\",\"path\":\"/webhooks/$index/name\",\"value\":\"$entry\"}"
    patch="$patch,{\"op\":\"add\",\"path\":\"/webhooks/$index/clientConfig/caBundle\",\"value\":\"$bundle\"}"
    index=$((index + 1))
  done
  kubectl patch mutatingwebhookconfiguration "$configuration" --type=json --field-manager=sidetap-certs \
    -p "[$patch]" >/dev/null
  echo "wrote the caBundle of $configuration ($index entries)"
}
