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

/// Any answer of the server, including error statuses: the caller decides what 404 or 409 means.
struct Response {
  unsigned status = 0;
  nlohmann::json body;  ///< Null if the server sent none.

  bool ok() const { return status >= 200 && status < 300; }
  /// For example "409 Conflict: ...", with the text of the Status object if there is one.
  std::string describe() const;
};

enum class PatchType { kMerge, kJson, kApply };

/// Not thread-safe: use it on one strand, with one request at a time. The errors of a Result are
/// those of the transport (no route, certificate refused, time-out, lost connection, answer too
/// large, not JSON or nested too deeply) and exceptions from a callback. After an error, the next
/// request connects again. The token is read for every request and the CA for every connection, so
/// both may be rotated.
class Client {
 public:
  Client(boost::asio::any_io_executor executor, Credentials credentials, Limits limits = {});
  ~Client();
  Client(Client&&) noexcept;

  /// `path` with its query, starting with "/".
  boost::asio::awaitable<Result<Response>> get(std::string path);
  boost::asio::awaitable<Result<Response>> create(std::string path, nlohmann::json object);
  /// Optimistic concurrency by the object's metadata.resourceVersion: the server answers 409 if it
  /// is outdated.
  boost::asio::awaitable<Result<Response>> replace(std::string path, nlohmann::json object);
  boost::asio::awaitable<Result<Response>> patch(std::string path, PatchType type,
                                                 nlohmann::json patch);

  /// Follows a watch until the server ends it (then Response has status 200) or refuses it, `each`
  /// returns false, or the connection is lost. `each` gets one {"type", "object"} event at a time.
  /// `accepted`, if given, is called once the server has accepted the watch, before the first
  /// event.
  boost::asio::awaitable<Result<Response>> watch(std::string path,
                                                 std::function<bool(const nlohmann::json&)> each,
                                                 std::chrono::milliseconds idle_timeout,
                                                 std::function<void()> accepted = {});

  /// Whether the last request failed because its answer was over Limits::body_bytes.
  bool answer_was_too_long() const;

  /// Stops permanently: the request in flight fails, and so does every later one.
  void stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sidetap::kube
