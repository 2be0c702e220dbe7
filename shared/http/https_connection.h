// One connection of an HTTPS client: HTTP/1.1 (RFC 9112) over TLS, one request after the other.
//
// Beast's own operations are templates over the stream below them and cost most of a minute of
// compiler time where they are awaited over TLS. Here Beast only parses, from bytes in memory.
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

/// The views need to last only until ask() has returned its awaitable.
struct HttpsRequest {
  std::string_view method;
  std::string_view target;  ///< The path with its query, starting with "/".
  std::string_view host;
  std::string_view token = {};         ///< Sent as a bearer token unless it is empty.
  std::string_view content_type = {};  ///< Empty: the request has no body.
  std::string_view body = {};
};

/// What came next of an answer's body.
struct BodyPiece {
  std::string bytes;  ///< Empty only where it is the last.
  bool last = false;
};

/// One strand, one operation at a time; a second one fails at once. Every wait has a time limit; an
/// operation that exceeds it fails with "timed out". After an error, or a cancellation, the
/// connection is of no use.
///
/// An operation keeps alive what it works with, and needs none of its arguments after the call: it
/// may outlive the connection, whose destructor cuts it, and then fails.
class HttpsConnection {
 public:
  using Milliseconds = std::chrono::milliseconds;

  explicit HttpsConnection(boost::asio::any_io_executor executor);
  ~HttpsConnection();
  HttpsConnection(const HttpsConnection&) = delete;
  HttpsConnection& operator=(const HttpsConnection&) = delete;

  /// Once. Connects to the first of `servers` that answers, each within `limit`, and shakes hands
  /// within `limit`. The server must prove to be `name`. Errors begin with "connect" or
  /// "TLS handshake".
  boost::asio::awaitable<Result<void>> open(std::vector<boost::asio::ip::tcp::endpoint> servers,
                                            std::shared_ptr<const TlsTrust> trust, std::string name,
                                            Milliseconds limit);

  /// The first, or after an answer that left the connection reusable(). Sends a request and reads
  /// the head of its answer, which tells the status; each within `limit`.
  /// A head of more than 8 KiB is an error, and so is a body of more than `most_body` bytes, here
  /// where the head tells the length. Errors begin with "request", where a field cannot be sent as
  /// it is, "write" or "read".
  boost::asio::awaitable<Result<unsigned>> ask(const HttpsRequest& request,
                                               std::optional<std::uint64_t> most_body,
                                               Milliseconds limit);
  /// After ask(), until the last piece. Errors begin with "read".
  boost::asio::awaitable<Result<BodyPiece>> read(Milliseconds limit);

  /// Did the error of ask() come before anything of an answer? A server that has closed a kept
  /// connection shows itself like that; then the request can be sent again on another one.
  bool unanswered() const;
  /// May the connection carry another request, once the last piece was read?
  bool reusable() const;
  /// Ends it at once: an operation that waits fails.
  void cut();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::http
