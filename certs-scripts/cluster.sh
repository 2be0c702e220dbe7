# shellcheck shell=sh
# What install.sh and rotate.sh share: their options, and how they write to the cluster. Sourced, not run.
# shellcheck disable=SC2034,SC2154  # the variables are the script's

dir=sidetap-certificates namespace=sidetap-system service=sidetap-webhook registry=sidetap-registry extra=''
secret=sidetap-webhook-tls configuration=sidetap-webhook days=365
cluster_options='--dir=dir --namespace=namespace --service=service --registry=registry --san+extra
  --secret=secret --webhook-configuration=configuration --days=days'

describe_cluster_options() {
  cat <<'OPTIONS'
  --namespace NAMESPACE        namespace of the webhook               (default sidetap-system)
  --service NAME               Service of the webhook                 (default sidetap-webhook)
  --registry NAME              Service of the tap registry            (default sidetap-registry)
  --san NAME                   another DNS name or IP address; may be repeated
  --secret NAME                Secret to write                        (default sidetap-webhook-tls)
  --webhook-configuration NAME MutatingWebhookConfiguration           (default sidetap-webhook)
  --days N                     validity of a new certificate, 1 to 3650 (default 365)
OPTIONS
}

check_cluster_options() {
  require_objects "$namespace" "$service" "$registry" "$secret" "$configuration"
  # shellcheck disable=SC2086  # a list of names
  require_sans $extra
  require_number --days "$days" 1 3650
  require_program openssl "apt-get install openssl"
  require_program kubectl
}

# make_certificate FOLDER: valid for both Services, where none is there yet. What is there is checked.
make_certificate() {
  set -- "$1" --service "$service" --registry "$registry" --namespace "$namespace"
  # shellcheck disable=SC2046  # a list of options
  "$scripts/generate.sh" --out "$@" --days "$days" $(for name in $extra; do echo "--san $name"; done)
  "$scripts/verify.sh" --dir "$@" --min-days 0 ||
    fail "the certificate in $1 is not fit for $service and $registry in $namespace; generate.sh --force makes a new one"
}

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

# read_ca_bundle FILE: of the first entry; an error when the entries differ.
read_ca_bundle() {
  bundles=$(kubectl get mutatingwebhookconfiguration "$configuration" -o 'jsonpath={.webhooks[*].clientConfig.caBundle}')
  for bundle in $bundles; do
    [ "$bundle" = "${bundles%% *}" ] || fail "the entries of $configuration have different caBundles"
  done
  printf '%s' "${bundles%% *}" | base64 -d >"$1"
}
