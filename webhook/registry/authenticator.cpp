#include "webhook/registry/authenticator.h"

#include <array>
#include <utility>

#include <boost/asio/steady_timer.hpp>
#include <openssl/sha.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>

#include "shared/async/tuple.h"
#include "shared/json_members.h"
#include "webhook/registry/metrics.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;

std::string digest(const std::string& text) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes{};
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), bytes.data());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// "shop" of "system:serviceaccount:shop:default".
std::string namespace_of(const std::string& user) {
  constexpr std::string_view kPrefix = "system:serviceaccount:";
  if (!user.starts_with(kPrefix)) return {};
  const auto end = user.find(':', kPrefix.size());
  return user.substr(kPrefix.size(), end - kPrefix.size());
}

std::vector<net::IpAddress> addresses_in(const nlohmann::json& pod, const std::string& uid) {
  std::vector<net::IpAddress> found;
  // A newer pod may have the same name as the token's.
  const auto& metadata = member(pod, "metadata");
  if (metadata.is_null() || text_of(metadata, "uid") != uid) return found;
  for (const auto& item : member(member(pod, "status"), "podIPs")) {
    if (const auto address = net::IpAddress::parse(text_of(item, "ip"))) found.push_back(*address);
  }
  return found;
}

}  // namespace

/// One request that waits for its turn. Lives in the coroutine that makes it.
struct Authenticator::Waiter {
  asio::steady_timer woken;  // never expires; cancelled to wake the coroutine
  kube::Client* client = nullptr;
  bool crowded_out = false;
};

Authenticator::Authenticator(asio::any_io_executor executor, const kube::Credentials& credentials,
                             AuthenticatorConfig config, telemetry::MetricsRegistry& metrics)
    : executor_(std::move(executor)),
      config_(std::move(config)),
      metrics_(metrics),
      queue_(config_.most_waiting) {
  clients_.reserve(config_.connections);
  for (std::size_t i = 0; i < config_.connections; ++i) {
    idle_.push_back(&clients_.emplace_back(executor_, credentials));
  }
  count_waiting();
}

asio::awaitable<Authenticator::Turn> Authenticator::wait_for_turn(const Asker& asker) {
  const auto begin = Clock::now();
  Waiter waiter{asio::steady_timer(executor_, Clock::time_point::max())};
  if (stopping_) co_return Turn{Borrowed(nullptr, GiveBack{this})};
  if (!idle_.empty()) {
    waiter.client = idle_.back();
    idle_.pop_back();
  } else {
    if (const auto given_up = queue_.push(asker.source, &waiter)) {
      (*given_up)->crowded_out = true;
      (*given_up)->woken.cancel();
    }
    count_waiting();
    if (!waiter.crowded_out) co_await waiter.woken.async_wait(async::kTuple);
  }
  Turn turn{Borrowed(waiter.client, GiveBack{this}), waiter.crowded_out};
  if (turn.client) {
    metrics_.histogram(kCheckWait)
        .Observe(std::chrono::duration<double>(Clock::now() - begin).count());
  }
  co_return turn;
}

void Authenticator::give_back(kube::Client* client) {
  const auto next = queue_.pop();
  if (!next) return idle_.push_back(client);
  (*next)->client = client;
  (*next)->woken.cancel();
  count_waiting();
}

void Authenticator::count_waiting() {
  metrics_.gauge(kChecksWaiting).Set(static_cast<double>(queue_.size()));
}

void Authenticator::stop() {
  stopping_ = true;
  while (const auto waiter = queue_.pop()) (*waiter)->woken.cancel();
  count_waiting();
  for (kube::Client& client : clients_) client.stop();
}

const kube::TokenIdentity* Authenticator::recall(const std::string& key) const {
  const auto found = known_.find(key);
  if (found == known_.end() || found->second.until <= Clock::now()) return nullptr;
  return &found->second.identity;
}

void Authenticator::remember(const std::string& key, const kube::TokenIdentity& identity) {
  if (known_.size() >= config_.most_remembered) forget_some();
  const bool good = identity.authenticated && !identity.pod_name.empty();
  known_[key] = {identity, good,
                 Clock::now() + (good ? config_.remember : config_.remember_refused)};
}

/// Many bad tokens from one peer must not evict the tokens of taps.
void Authenticator::forget_some() {
  const auto now = Clock::now();
  std::erase_if(known_, [now](const auto& item) { return item.second.until <= now; });
  if (known_.size() < config_.most_remembered) return;
  std::erase_if(known_, [](const auto& item) { return !item.second.good; });
  if (known_.size() >= config_.most_remembered) known_.clear();
}

asio::awaitable<Authenticator::TokenAnswer> Authenticator::identify(Asker asker,
                                                                    std::string token) {
  using Kind = TokenAnswer::Kind;
  const std::string key = digest(token);
  if (const auto* known = recall(key)) co_return TokenAnswer{Kind::kAnswered, *known};
  const Turn turn = co_await wait_for_turn(asker);
  if (turn.crowded_out) co_return TokenAnswer{Kind::kCrowdedOut};
  if (!turn.client || !asker.wanted()) co_return TokenAnswer();
  // Another connection of the same tap may have made the request meanwhile.
  if (const auto* known = recall(key)) co_return TokenAnswer{Kind::kAnswered, *known};
  auto identity = co_await kube::review_token(*turn.client, std::move(token), config_.audience);
  if (!identity) co_return TokenAnswer{Kind::kFailed, {}, identity.error().text};
  remember(key, *identity);
  co_return TokenAnswer{Kind::kAnswered, std::move(*identity)};
}

asio::awaitable<Authenticator::AddressesAnswer> Authenticator::addresses_of(
    Asker asker, kube::TokenIdentity identity) {
  using Kind = AddressesAnswer::Kind;
  const std::string name_space = namespace_of(identity.user);
  if (name_space.empty() || identity.pod_name.empty()) {
    co_return AddressesAnswer{Kind::kAnswered};
  }
  const Turn turn = co_await wait_for_turn(asker);
  if (turn.crowded_out) co_return AddressesAnswer{Kind::kCrowdedOut};
  if (!turn.client || !asker.wanted()) co_return AddressesAnswer();
  std::string path = "/api/v1/namespaces/" + name_space + "/pods/" + identity.pod_name;
  const auto read = co_await turn.client->get(std::move(path));
  if (!read) co_return AddressesAnswer{Kind::kFailed, {}, read.error().text};
  if (read->status == 401 || read->status == 403 || read->status == 404) {
    co_return AddressesAnswer{Kind::kAnswered};
  }
  if (!read->ok()) {
    co_return AddressesAnswer{Kind::kFailed, {}, "status " + std::to_string(read->status)};
  }
  co_return AddressesAnswer{Kind::kAnswered, addresses_in(read->body, identity.pod_uid)};
}

}  // namespace sidetap::webhook::registry
