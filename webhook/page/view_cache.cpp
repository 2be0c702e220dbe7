#include "webhook/page/view_cache.h"

#include <algorithm>
#include <utility>

#include <boost/asio/post.hpp>

#include "shared/async/tuple.h"

namespace sidetap::webhook::page {
namespace {

namespace asio = boost::asio;

}  // namespace

ViewCache::ViewCache(std::shared_ptr<asio::io_context> context, ViewCacheConfig config)
    : context_(std::move(context)), config_(std::move(config)) {}

void ViewCache::make_room() {
  if (questions_.size() < config_.most_answers) return;
  const auto oldest = std::min_element(
      questions_.begin(), questions_.end(),
      [](const auto& a, const auto& b) { return a.second->asked < b.second->asked; });
  if (oldest != questions_.end()) questions_.erase(oldest);
}

std::shared_ptr<ViewCache::Question> ViewCache::ask(const std::string& key, Make make) {
  const auto known = questions_.find(key);
  if (known != questions_.end()) {
    // A question that waits is asked once more only when it counts as lost.
    const auto age = Clock::now() - known->second->asked;
    if (age < (known->second->answer.in_time ? config_.fresh : config_.patience)) {
      return known->second;
    }
    questions_.erase(known);
  }
  make_room();
  auto question = std::make_shared<Question>(*context_);
  question->answered.expires_after(config_.patience);
  questions_.emplace(key, question);
  // The context comes first, so that it is the last to go.
  config_.with_view(
      [context = context_, question, make = std::move(make)](const registry::View& view) {
        Answer answer{.in_time = true};
        if (auto text = make(view))
          answer.text = std::make_shared<const std::string>(std::move(*text));
        asio::post(*context, [question, answer = std::move(answer)] {
          question->answer = answer;
          question->answered.cancel();
        });
      });
  return question;
}

asio::awaitable<ViewCache::Answer> ViewCache::get(std::string key, Make make) {
  if (stopped_) co_return Answer{};
  const std::shared_ptr<Question> question = ask(key, std::move(make));
  if (!question->answer.in_time) {
    // Ends with an error if it is cancelled, and without one if the time is over.
    auto [error] = co_await question->answered.async_wait(async::kTuple);
    static_cast<void>(error);
  }
  co_return question->answer;
}

void ViewCache::stop() {
  stopped_ = true;
  for (const auto& [key, question] : questions_) question->answered.cancel();
}

}  // namespace sidetap::webhook::page
