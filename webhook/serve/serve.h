// The running webhook: server, status server, files that are followed, and the orderly end.
#pragma once

#include "webhook/serve/review_factory.h"
#include "webhook/serve/serve_options.h"

namespace sidetap::webhook {

/// Serves until SIGTERM or SIGINT; the exit code: 2 when the configuration is wrong. After the
/// signal it drains: it serves as before, each answer the last of its connection, for drain_seconds
/// (a second signal ends that); then it accepts no more connections, and finishes what runs. It
/// stays ready while it drains: where no other pod is ready, kube-proxy sends new connections to
/// terminating pods that are, and to no other ones.
int serve(const ServeOptions& options, const ReviewFactory& factory);

}  // namespace sidetap::webhook
