// The running webhook: server, status server, watched files, and graceful shutdown.
#pragma once

#include "webhook/serve/review_factory.h"
#include "webhook/serve/serve_options.h"

namespace sidetap::webhook {

/// Serves until SIGTERM or SIGINT. Returns the exit code, which is 2 if the configuration is wrong.
/// After the signal, the webhook drains for drain_seconds, or until a second signal: it still
/// serves, but each answer is the last on its connection. Then it accepts no more connections and
/// finishes running requests. It stays ready while it drains: if no other pod is ready, kube-proxy
/// sends new connections only to terminating pods that are ready.
int serve(const ServeOptions& options, const ReviewFactory& factory);

}  // namespace sidetap::webhook
