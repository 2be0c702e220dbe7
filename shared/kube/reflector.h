// Follows all objects of one resource: lists them, then watches for changes.
//
// Source: "Efficient detection of changes" of the API concepts
// (https://kubernetes.io/docs/reference/using-api/api-concepts/): pages with limit and continue,
// a watch from the list's resourceVersion, bookmarks, and 410 Gone for a version that is too old.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "shared/async/backoff.h"
#include "shared/kube/client.h"

namespace sidetap::kube {

struct ReflectorConfig {
  std::string path;  ///< The resource in all namespaces: "/api/v1/services".
  /// Objects per page of a list. After an answer that is longer than the client takes, the next
  /// list has a quarter of them, down to one; after a list that works, twice as many again.
  std::size_t page = 100;
  /// Bookmarks arrive about once a minute: a watch that is silent for longer counts as dead.
  std::chrono::milliseconds silence{90'000};
  /// The server is asked to end a watch after this time. The next watch continues where it ended.
  std::chrono::seconds watch{300};
  /// Waits before another attempt, as in async::Backoff. A watch works if it lasts for ten times
  /// the shortest wait; one that ends sooner counts as a failure, however it ends.
  async::BackoffBounds wait;
  /// Pages of `page` objects per list. A list without an end fails.
  std::size_t most_pages = 5'000;
};

/// Callbacks, in the order in which they are called, on the client's executor. An exception from
/// one of them is a failure of the list or the watch: `fallen` is called, and what it failed for is
/// reported again.
struct ReflectorEvents {
  /// From here to list_ended(), every object is reported anew. May be called again before
  /// list_ended().
  std::function<void()> list_begins;
  std::function<void(const nlohmann::json& object)> present;  ///< Listed, added or changed.
  std::function<void(const nlohmann::json& object)> gone;
  std::function<void()> list_ended;  ///< Objects not reported since list_begins() no longer exist.
  /// The watch works, so what was reported is current; or it does not, for the given reason.
  std::function<void()> standing;
  std::function<void(const std::string& reason)> fallen;
};

class Reflector {
 public:
  Reflector(Client client, ReflectorConfig config, ReflectorEvents events);

  /// Does not end by itself: cancel it. Throws only if `fallen` does; it can then be called again.
  boost::asio::awaitable<void> run();

 private:
  struct Page {
    std::string version;
    std::string next;  // token; empty: it is the last
  };
  boost::asio::awaitable<Result<void>> list_and_watch();
  boost::asio::awaitable<Result<void>> list();
  boost::asio::awaitable<Result<Page>> list_page(const std::string& token);
  boost::asio::awaitable<Result<void>> watch();
  bool take(const nlohmann::json& event);

  Client client_;
  const ReflectorConfig config_;
  const ReflectorEvents events_;
  std::size_t page_;                    // objects per page of the next list
  std::string version_;                 // empty: a list is due
  std::string refused_;                 // what an ERROR event said
  std::chrono::milliseconds stood_{0};  // the last watch, if the server agreed to it
  async::Backoff backoff_;
  async::Chance chance_;
};

}  // namespace sidetap::kube
