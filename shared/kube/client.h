// A small client of the Kubernetes API: one connection, JSON in and out.
//
// Source of paths, verbs and media types: the Kubernetes API conventions
// (https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include "shared/kube/credentials.h"
#include "shared/result.h"

namespace sidetap::kube {

struct Limits {
  std::chrono::milliseconds timeout{10'000};  ///< For each step: connect, handshake, write, read.
  std::size_t body_bytes = 8u << 20;          ///< Largest answer, and largest line of a watch.
};

/// Any answer of the server, good or bad: 404 and 409 are for the caller to judge.
struct Response {
  unsigned status = 0;
  nlohmann::json body;  ///< Null when the server sent none.

  bool ok() const { return status >= 200 && status < 300; }
  /// "409 Conflict: ..." from the Status object where there is one.
  std::string describe() const;
};

enum class PatchType { kMerge, kJson, kApply };

/// Not thread-safe: one strand, one request at a time. Errors of a Result are the transport's (no
/// route, certificate refused, time-out, cut, answer too large, not JSON or nested without end) and
/// what a callback has thrown; the next request dials again. The token is read for every request
/// and the CA for every connection, so both may be rotated.
class Client {
 public:
  Client(boost::asio::any_io_executor executor, Credentials credentials, Limits limits = {});
  ~Client();
  Client(Client&&) noexcept;

  /// `path` with its query, starting with "/".
  boost::asio::awaitable<Result<Response>> get(std::string path);
  boost::asio::awaitable<Result<Response>> create(std::string path, nlohmann::json object);
  /// Optimistic concurrency: the object's metadata.resourceVersion decides; 409 when it is old.
  boost::asio::awaitable<Result<Response>> replace(std::string path, nlohmann::json object);
  boost::asio::awaitable<Result<Response>> patch(std::string path, PatchType type,
                                                 nlohmann::json patch);

  /// Follows a watch until the server ends it (then Response has status 200), refuses it, `each`
  /// returns false, or the connection is lost. `each` gets one {"type", "object"} event at a time.
  /// `accepted`, where there is one, is called once the server has agreed, before the first event.
  boost::asio::awaitable<Result<Response>> watch(std::string path,
                                                 std::function<bool(const nlohmann::json&)> each,
                                                 std::chrono::milliseconds idle_timeout,
                                                 std::function<void()> accepted = {});

  /// For good: a request that is under way ends with an error, and so does every later one.
  void stop();

  const Credentials& credentials() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// What a TokenReview said (authentication.k8s.io/v1).
struct TokenIdentity {
  bool authenticated = false;
  std::string user;      ///< "system:serviceaccount:NAMESPACE:NAME"
  std::string pod_name;  ///< Of a token that is bound to a pod; else empty.
  std::string pod_uid;
  std::string reason;  ///< The server's, when not authenticated.
};

/// Asks the API server whose `token` is, for `audience`.
boost::asio::awaitable<Result<TokenIdentity>> review_token(Client& client, std::string token,
                                                           std::string audience);

}  // namespace sidetap::kube
