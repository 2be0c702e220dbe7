#include "webhook/registry/identity_request.h"

#include <cstdint>

#include "shared/net/text.h"
#include "webhook/identity/identity_text.h"

namespace sidetap::webhook::registry {
namespace {

using Route = IdentityTarget::Route;

/// The longest text of an address, a time or a position, and more.
constexpr std::size_t kMostValueBytes = 128;

bool is_name(std::string_view text, std::string_view characters, std::size_t most) {
  return !text.empty() && text.size() <= most &&
         text.find_first_not_of(characters) == std::string_view::npos;
}

void find_pod(std::string_view rest, IdentityTarget& target) {
  constexpr std::string_view kLabel = "abcdefghijklmnopqrstuvwxyz0123456789-";
  constexpr std::string_view kName = "abcdefghijklmnopqrstuvwxyz0123456789-.";
  const auto slash = rest.find('/');
  if (slash == rest.npos) return;
  const auto name_space = rest.substr(0, slash);
  const auto pod = rest.substr(slash + 1);
  if (!is_name(name_space, kLabel, 63) || !is_name(pod, kName, 253)) return;
  target.name_space = name_space;
  target.pod = pod;
  target.route = Route::kTap;
}

Result<identity::Position> position_of(std::string_view text) {
  const auto dash = text.find('-');
  if (dash != text.npos) {
    const auto epoch = net::whole_number<std::uint64_t>(text.substr(0, dash));
    const auto number = net::whole_number<std::uint64_t>(text.substr(dash + 1));
    if (epoch && number) return identity::Position{*epoch, *number};
  }
  return Error{"after is not a position: give the position of the last line that you have read"};
}

/// Puts one parameter into `query`.
Result<void> take(Route route, std::string_view name, const std::string& value,
                  IdentityQuery& query) {
  if (route == Route::kIdentities && name == "address" && !query.address) {
    const auto address = net::IpAddress::parse(value);
    if (!address) return Error{"address: " + address.error().text};
    query.address = *address;
  } else if (route == Route::kIdentities && name == "at" && !query.at) {
    const auto at = identity::parse_time(value);
    if (!at) return Error{"at: " + at.error().text};
    query.at = *at;
  } else if (route == Route::kStream && name == "after" && !query.after) {
    const auto after = position_of(value);
    if (!after) return after.error();
    query.after = *after;
  } else if (route == Route::kIdentities) {
    return Error{"accepted parameters: address and at, each once"};
  } else if (route == Route::kStream) {
    return Error{"accepted parameters: after, once"};
  } else {
    return Error{"this path takes no parameters"};
  }
  return {};
}

}  // namespace

IdentityTarget identity_target_of(std::string_view target) {
  constexpr std::string_view kTapPrefix = "/v1/taps/";
  IdentityTarget found;
  const auto mark = target.find('?');
  found.path = target.substr(0, mark);
  if (mark != target.npos) found.query = target.substr(mark + 1);
  if (found.path == "/v1/taps") {
    found.route = Route::kTaps;
  } else if (found.path == "/v1/identities") {
    found.route = Route::kIdentities;
  } else if (found.path == "/v1/identities/stream") {
    found.route = Route::kStream;
  } else if (found.path == "/v1/coverage") {
    found.route = Route::kCoverage;
  } else if (found.path.starts_with(kTapPrefix)) {
    find_pod(std::string_view(found.path).substr(kTapPrefix.size()), found);
  }
  return found;
}

Result<IdentityQuery> identity_query_of(const IdentityTarget& target) {
  IdentityQuery query;
  std::string_view rest = target.query;
  while (!rest.empty()) {
    const auto end = rest.find('&');
    const std::string_view item = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    const auto equals = item.find('=');
    const auto name = item.substr(0, equals);
    const auto value =
        net::percent_decoded(equals == item.npos ? std::string_view() : item.substr(equals + 1));
    if (!value || value->size() > kMostValueBytes) {
      return Error{"a parameter is too long or badly percent-encoded"};
    }
    const auto taken = take(target.route, name, *value, query);
    if (!taken) return taken.error();
  }
  if (query.at && !query.address) return Error{"at needs an address"};
  return query;
}

std::string to_text(const identity::Position& position) {
  return std::to_string(position.epoch) + "-" + std::to_string(position.number);
}

}  // namespace sidetap::webhook::registry
