// TLS over a non-blocking descriptor, so that the SSL object can be handed to the capture thread.
#pragma once

#include <memory>
#include <string>

#include <openssl/ssl.h>

#include "shared/async/waiting.h"
#include "shared/result.h"
#include "sidecar/session/tls_settings.h"

namespace sidetap::session {

/// Reads the files. TLS 1.2 or later. Error: which file, and why.
Result<std::shared_ptr<SSL_CTX>> make_tls_context(const TlsSettings& settings);

/// Performs the handshake over `fd` in the role of `settings`. `host` is the peer as configured,
/// whose name is verified unless the settings name another. The result refers to the descriptor:
/// use it only while that is open.
boost::asio::awaitable<Result<std::shared_ptr<SSL>>> tls_handshake(
    async::AsyncFd& fd, SSL_CTX& context, const TlsSettings& settings, const std::string& host,
    async::Limit limit, async::Interruption* interruption);

/// Whether the peer starts with something other than a TLS handshake. Consumes no bytes.
boost::asio::awaitable<bool> talks_plain(async::AsyncFd& fd, async::Limit limit,
                                         async::Interruption* interruption);

/// The newest reason in this thread's OpenSSL error queue. Empties the queue.
std::string tls_reason();

}  // namespace sidetap::session
