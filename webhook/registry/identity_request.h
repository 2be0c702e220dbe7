// What a plain HTTP request to the registry asks of the ledger of identities. Pure.
//
//   /v1/taps                                  every connected tap, and those that have gone lately
//   /v1/taps/NAMESPACE/POD                    the taps of one pod
//   /v1/identities?address=ADDRESS[&at=TIME]  who held an address
//   /v1/identities                            every tenure that is known
//   /v1/identities/stream[?after=POSITION]    changes as they come
//   /v1/coverage                              which selected pods have no tap, and why
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "shared/net/ip_address.h"
#include "shared/result.h"
#include "webhook/identity/ledger.h"

namespace sidetap::webhook::registry {

/// Longer targets are not looked at.
inline constexpr std::size_t kMostTargetBytes = 2'048;

struct IdentityTarget {
  enum class Route { kNone, kTaps, kTap, kIdentities, kStream, kCoverage };
  Route route = Route::kNone;
  std::string path{};               ///< As sent, without the query: what the API server judges.
  std::string query{};              ///< As sent, without "?".
  std::string name_space{}, pod{};  ///< For kTap.
};

/// `target` is as it stands in the request line. Only the forms of names that Kubernetes allows
/// make a route: a path has one spelling.
IdentityTarget identity_target_of(std::string_view target);

/// The parameters that a route takes.
struct IdentityQuery {
  std::optional<net::IpAddress> address{};    ///< For kIdentities.
  std::optional<identity::Time> at{};         ///< Only with an address.
  std::optional<identity::Position> after{};  ///< For kStream.
};

/// The Error's text says which parameter is wrong and what is accepted. Values may be
/// percent-encoded; "+" stands for itself.
Result<IdentityQuery> identity_query_of(const IdentityTarget& target);

/// "EPOCH-NUMBER", as `after` takes it.
std::string to_text(const identity::Position& position);

}  // namespace sidetap::webhook::registry
