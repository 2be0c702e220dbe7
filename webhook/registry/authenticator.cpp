#include "webhook/registry/authenticator.h"

#include <array>
#include <utility>

#include <openssl/sha.h>

#include "shared/json_members.h"

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;

using Clock = std::chrono::steady_clock;

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

std::string digest_of(const std::string& token) {
  std::array<unsigned char, SHA256_DIGEST_LENGTH> bytes{};
  SHA256(reinterpret_cast<const unsigned char*>(token.data()), token.size(), bytes.data());
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Authenticator::Authenticator(ApiQueue& queue, AuthenticatorConfig config)
    : config_(std::move(config)), queue_(queue), known_(config_.most_remembered) {}

void Authenticator::remember(const std::string& key, const kube::TokenIdentity& identity) {
  const bool good = identity.authenticated && !identity.pod_name.empty();
  const auto now = Clock::now();
  known_.keep(key, identity, good, now + (good ? config_.remember : config_.remember_refused), now);
}

asio::awaitable<Authenticator::TokenAnswer> Authenticator::identify(Asker asker,
                                                                    std::string token) {
  using Kind = TokenAnswer::Kind;
  const std::string key = digest_of(token);
  if (const auto* known = known_.find(key, Clock::now()))
    co_return TokenAnswer{Kind::kAnswered, *known};
  const ApiQueue::Turn turn = co_await queue_.wait_for_turn(asker.source);
  if (turn.crowded_out) co_return TokenAnswer{Kind::kCrowdedOut};
  if (!turn.client || !asker.wanted()) co_return TokenAnswer();
  // Another connection of the same tap may have made the request meanwhile.
  if (const auto* known = known_.find(key, Clock::now()))
    co_return TokenAnswer{Kind::kAnswered, *known};
  auto identity = co_await kube::review_token(*turn.client, std::move(token), config_.audience);
  if (!identity) co_return TokenAnswer{Kind::kFailed, {}, identity.error().text};
  remember(key, *identity);
  co_return TokenAnswer{Kind::kAnswered, std::move(*identity)};
}

asio::awaitable<Authenticator::AddressesAnswer> Authenticator::addresses_of(
    Asker asker, kube::TokenIdentity identity) {
  using Kind = AddressesAnswer::Kind;
  if (identity.name_space.empty() || identity.pod_name.empty()) {
    co_return AddressesAnswer{Kind::kAnswered};
  }
  const ApiQueue::Turn turn = co_await queue_.wait_for_turn(asker.source);
  if (turn.crowded_out) co_return AddressesAnswer{Kind::kCrowdedOut};
  if (!turn.client || !asker.wanted()) co_return AddressesAnswer();
  std::string path = "/api/v1/namespaces/" + identity.name_space + "/pods/" + identity.pod_name;
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
