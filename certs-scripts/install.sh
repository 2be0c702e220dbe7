#!/bin/sh
# Writes the webhook's certificate to the cluster: the Secret that the webhook serves from, and the caBundle by which the
# API server trusts it.
set -euf

usage() {
  cat <<'USAGE'
Usage: install.sh [--dir DIR] [--namespace NAMESPACE] [--service NAME] [--registry NAME] [--san NAME]...
                  [--secret NAME] [--webhook-configuration NAME] [--days N]

Makes the certificate in DIR with generate.sh if there is none, and checks it with verify.sh. Then it writes the Secret
and the caBundle of every entry of the MutatingWebhookConfiguration, with kubectl and its current context. If you run it
again, it writes the same. The CA's key stays in DIR and never enters the cluster: keep it safe. Only rotate.sh needs it.

  --dir DIR                    folder of the four files               (default sidetap-certificates)
USAGE
  describe_cluster_options
}

scripts=$(dirname "$0")
# shellcheck source=certs-scripts/common.sh
. "$scripts/common.sh"
# shellcheck source=certs-scripts/cluster.sh
. "$scripts/cluster.sh"

parse_options "$cluster_options" "$@"
check_cluster_options
make_certificate "$dir"

# The Secret first: the API server must not trust a certificate that no pod serves yet.
write_secret "$dir/ca.crt" "$dir/tls.crt" "$dir/tls.key"
write_ca_bundle "$dir/ca.crt"
