// One connection of an HTTPS client: HTTP/1.1 (RFC 9112) over TLS, one request after the other.
#pragma once

#include <chrono>
#include <cstddef>
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

/// The texts go into the request as they are: no field may hold a line break.
struct HttpsRequest {
  std::string_view method;
  std::string_view target;  ///< The path with its query, starting with "/".
  std::string_view host;
  std::string_view token = {};         ///< Sent as a bearer token unless it is empty.
  std::string_view content_type = {};  ///< Empty: the request has no body.
  std::string_view body = {};
};

/// One strand, one operation at a time. Every wait has a time limit; an operation that exceeds it fails with "timed
/// out". After an error the connection is of no use.
class HttpsConnection {
 public:
  using Milliseconds = std::chrono::milliseconds;

  explicit HttpsConnection(boost::asio::any_io_executor executor);
  ~HttpsConnection();
  HttpsConnection(const HttpsConnection&) = delete;
  HttpsConnection& operator=(const HttpsConnection&) = delete;

  /// Connects to the first of `servers` that answers, each within `limit`, and shakes hands within `limit`. The server
  /// must prove to be `name`. Errors begin with "connect" or "TLS handshake".
  boost::asio::awaitable<Result<void>> open(
      const std::vector<boost::asio::ip::tcp::endpoint>& servers, const TlsTrust& trust,
      const std::string& name, Milliseconds limit);

  /// Sends a request and reads the head of its answer, which tells the status. An answer with a body of more than
  /// `most_body` bytes is an error, of the head where that tells the length. Errors begin with "write" or "read".
  boost::asio::awaitable<Result<unsigned>> ask(const HttpsRequest& request,
                                               std::optional<std::uint64_t> most_body,
                                               Milliseconds limit);
  /// Appends what comes next of the answer's body; false when the answer is complete. Errors begin with "read".
  boost::asio::awaitable<Result<bool>> read(std::string& body, Milliseconds limit);

  /// Did the error of ask() come before anything of an answer? A server that has closed a kept connection shows itself
  /// like that; then the request can be sent again on another one.
  bool unanswered() const;
  /// May the connection carry another request, once the answer is complete?
  bool reusable() const;
  /// Ends it at once: an operation that waits fails.
  void cut();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap::http
