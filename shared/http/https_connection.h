// One connection of an HTTPS client: HTTP/1.1 (RFC 9112) over TLS, one request after another.
//
// Beast's own operations are templates over the stream. Awaiting them over TLS costs most of a
// minute of compiler time, so Beast only parses bytes in memory here.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "shared/http/tls_trust.h"
#include "shared/result.h"

namespace sidetap::http {

/// The views must be valid only until ask() has returned its awaitable.
struct HttpsRequest {
  std::string_view method;
  std::string_view target;  ///< The path with its query, starting with "/".
  std::string_view host;
  std::string_view token = {};         ///< Sent as a bearer token unless empty.
  std::string_view content_type = {};  ///< Empty: the request has no body.
  std::string_view body = {};
};

/// The next part of an answer's body.
struct BodyPiece {
  std::string bytes;  ///< Empty only in the last piece.
  bool last = false;
};

/// Use it on one strand, with one operation at a time; a second one fails at once. Every wait has a
/// time limit; an operation that exceeds it fails with "timed out". After an error or a
/// cancellation, the connection is unusable.
///
/// An operation keeps alive what it uses, and needs none of its arguments after the call. It may
/// outlive this object: the destructor cuts the connection, and the operation fails.
class HttpsConnection {
 public:
  using Milliseconds = std::chrono::milliseconds;

  explicit HttpsConnection(boost::asio::any_io_executor executor);
  ~HttpsConnection();
  HttpsConnection(const HttpsConnection&) = delete;
  HttpsConnection& operator=(const HttpsConnection&) = delete;

  /// Call it once. Connects to the first of `servers` that answers, and performs the TLS handshake.
  /// `limit` applies to each connection attempt and to the handshake. The server's certificate must
  /// be valid for `name`. Errors begin with "connect" or "TLS handshake".
  boost::asio::awaitable<Result<void>> open(std::vector<boost::asio::ip::tcp::endpoint> servers,
                                            std::shared_ptr<const TlsTrust> trust, std::string name,
                                            Milliseconds limit);

  /// Call it first, or after an answer that left the connection reusable(). Sends a request and
  /// reads the head of its answer, each within `limit`. Returns the HTTP status. A head of more
  /// than 8 KiB is an error, and so is a body of more than `most_body` bytes: here if the head
  /// states the length, otherwise in read(). Errors begin with "request" (a field cannot be sent),
  /// "write" or "read".
  boost::asio::awaitable<Result<unsigned>> ask(const HttpsRequest& request,
                                               std::optional<std::uint64_t> most_body,
                                               Milliseconds limit);
  /// Call it after ask(), until the last piece. Errors begin with "read".
  boost::asio::awaitable<Result<BodyPiece>> read(Milliseconds limit);

  /// Whether ask() failed before any byte of an answer arrived. This is how a kept connection fails
  /// that the server has closed; the request can then be sent again on a new one.
  bool unanswered() const;
  /// Whether the last answer was longer than its request allowed.
  bool too_long() const;
  /// Whether the connection can carry another request once the last piece is read.
  bool reusable() const;
  /// Ends the connection at once: a pending operation fails.
  void cut();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::http
