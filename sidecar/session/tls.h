// TLS over a non-blocking descriptor, so that the object can be handed to the capture thread.
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

/// Does the handshake over `fd`, in the role of `settings`. `host` is the peer as configured: the
/// name to verify unless the settings say another. The result refers to the descriptor and is to be
/// used only while it is open.
boost::asio::awaitable<Result<std::shared_ptr<SSL>>> tls_handshake(
    async::AsyncFd& fd, SSL_CTX& context, const TlsSettings& settings, const std::string& host,
    async::Limit limit, async::Interruption* interruption);

/// Does the peer begin with something that is no TLS handshake? Takes nothing from the connection.
boost::asio::awaitable<bool> talks_plain(async::AsyncFd& fd, async::Limit limit,
                                         async::Interruption* interruption);

/// The newest reason in OpenSSL's queue of this thread, which it empties.
std::string tls_reason();

}  // namespace sidetap::session
