#include "webhook/registry/authenticator.h"

#include <array>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <openssl/sha.h>

namespace sidetap::webhook::registry {
namespace {

namespace asio = boost::asio;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable);

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
  const auto text = [](const nlohmann::json& object, const char* key) {
    const auto member = object.is_object() ? object.find(key) : object.end();
    return object.is_object() && member != object.end() && member->is_string()
               ? member->get<std::string>()
               : std::string();
  };
  // A pod of the same name may have come after the token's.
  if (!pod.is_object() || !pod.contains("metadata") || text(pod["metadata"], "uid") != uid ||
      !pod.contains("status") || !pod["status"].is_object() || !pod["status"].contains("podIPs")) {
    return found;
  }
  for (const auto& item : pod["status"]["podIPs"]) {
    if (const auto address = net::IpAddress::parse(text(item, "ip"))) found.push_back(*address);
  }
  return found;
}

}  // namespace

Authenticator::Authenticator(const asio::any_io_executor& executor,
                             const kube::Credentials& credentials, AuthenticatorConfig config)
    : config_(std::move(config)), freed_(executor) {
  freed_.expires_at(asio::steady_timer::time_point::max());
  clients_.reserve(config_.connections);
  for (std::size_t i = 0; i < config_.connections; ++i) {
    idle_.push_back(&clients_.emplace_back(executor, credentials));
  }
}

asio::awaitable<Authenticator::Borrowed> Authenticator::borrow() {
  while (idle_.empty() && !stopping_) co_await freed_.async_wait(kTuple);
  if (stopping_) co_return nullptr;
  Borrowed client(idle_.back(), GiveBack{this});
  idle_.pop_back();
  co_return client;
}

void Authenticator::GiveBack::operator()(kube::Client* client) const {
  lender->idle_.push_back(client);
  lender->freed_.cancel_one();
}

void Authenticator::stop() {
  stopping_ = true;
  freed_.cancel();
  for (kube::Client& client : clients_) client.stop();
}

void Authenticator::forget_old() {
  const auto now = Clock::now();
  std::erase_if(known_, [now](const auto& item) { return item.second.until <= now; });
  if (known_.size() >= config_.most_remembered) known_.clear();
}

const kube::TokenIdentity* Authenticator::recall(const std::string& key) const {
  const auto found = known_.find(key);
  if (found == known_.end() || found->second.until <= Clock::now()) return nullptr;
  return &found->second.identity;
}

asio::awaitable<Result<std::optional<kube::TokenIdentity>>> Authenticator::identify(
    std::string token, Wanted wanted) {
  using Answer = std::optional<kube::TokenIdentity>;
  const std::string key = digest(token);
  if (const auto* known = recall(key)) co_return Answer(*known);
  const auto client = co_await borrow();
  if (!client || !wanted()) co_return Answer();
  // Another connection of the same tap may have asked meanwhile.
  if (const auto* known = recall(key)) co_return Answer(*known);
  auto identity = co_await kube::review_token(*client, std::move(token), config_.audience);
  if (!identity) co_return identity.error();
  if (known_.size() >= config_.most_remembered) forget_old();
  const bool good = identity->authenticated && !identity->pod_name.empty();
  known_[key] = {*identity, Clock::now() + (good ? config_.remember : config_.remember_refused)};
  co_return Answer(std::move(*identity));
}

asio::awaitable<Result<std::optional<std::vector<net::IpAddress>>>> Authenticator::addresses_of(
    kube::TokenIdentity identity, Wanted wanted) {
  using Answer = std::optional<std::vector<net::IpAddress>>;
  const std::string name_space = namespace_of(identity.user);
  if (name_space.empty() || identity.pod_name.empty()) co_return Answer();
  const auto client = co_await borrow();
  if (!client || !wanted()) co_return Answer();
  std::string path = "/api/v1/namespaces/" + name_space + "/pods/" + identity.pod_name;
  const auto read = co_await client->get(std::move(path));
  if (!read) co_return read.error();
  if (read->status == 401 || read->status == 403 || read->status == 404) co_return Answer();
  if (!read->ok()) co_return Error{"the API server answers " + std::to_string(read->status)};
  co_return Answer(addresses_in(read->body, identity.pod_uid));
}

}  // namespace sidetap::webhook::registry
