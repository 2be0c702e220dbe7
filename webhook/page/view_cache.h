// Caches answers that are made on the registry's thread, so that many requests cost one answer.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "webhook/registry/view.h"

namespace sidetap::webhook::page {

struct ViewCacheConfig {
  /// Runs a function on the registry's thread, later. Called on the cache's thread.
  std::function<void(std::function<void(const registry::View&)>)> with_view;
  std::chrono::milliseconds fresh{1'000};     ///< So long, an answer is given again.
  std::chrono::milliseconds patience{5'000};  ///< Then the registry counts as stuck.
  std::size_t most_answers = 64;              ///< Beyond them, the oldest is forgotten.
};

/// Use it on the one thread that runs the context.
class ViewCache {
 public:
  /// Nothing: there is no such thing.
  using Make = std::function<std::optional<std::string>(const registry::View&)>;
  struct Answer {
    bool in_time = false;  ///< Otherwise the registry has not answered, or the cache is stopped.
    std::shared_ptr<const std::string> text{};  ///< Null: there is no such thing.
  };

  /// The registry's thread keeps the context for as long as it works for the cache.
  ViewCache(std::shared_ptr<boost::asio::io_context> context, ViewCacheConfig config);

  /// What `make`, called on the registry's thread, says. `key` names it.
  boost::asio::awaitable<Answer> get(std::string key, Make make);
  /// Ends every wait, now and later. A wait whose question was dropped for others ends after
  /// ViewCacheConfig::patience.
  void stop();

 private:
  using Clock = std::chrono::steady_clock;
  struct Question {
    explicit Question(boost::asio::io_context& context) : answered(context) {}
    boost::asio::steady_timer answered;  ///< Cancelled when the answer is there.
    const Clock::time_point asked = Clock::now();
    Answer answer{};
  };

  std::shared_ptr<Question> ask(const std::string& key, Make make);
  void make_room();

  const std::shared_ptr<boost::asio::io_context> context_;
  const ViewCacheConfig config_;
  std::map<std::string, std::shared_ptr<Question>> questions_;
  bool stopped_ = false;
};

}  // namespace sidetap::webhook::page
