// Making and reading the two kinds of certificates that the webhook keeps for itself: an authority
// and the leaf it serves, both ECDSA P-256. Texts are PEM.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "shared/result.h"

namespace sidetap::certificates {

using Clock = std::chrono::system_clock;
using TimePoint = Clock::time_point;

struct Pair {
  std::string certificate;
  std::string key;  ///< PKCS #8, unencrypted.

  bool empty() const { return certificate.empty() && key.empty(); }
  friend bool operator==(const Pair&, const Pair&) = default;
};

struct Facts {
  TimePoint not_before;
  TimePoint not_after;
  std::vector<std::string> dns_names;
  bool authority = false;
};

/// A certificate is valid a day before it was made: for clocks that are hours apart, or that take
/// the time of their zone for UTC.
inline constexpr auto kBackdate = std::chrono::hours(24);

Result<Pair> make_authority(const std::string& name, TimePoint now, std::chrono::seconds life);
/// Ends with its authority at the latest. The first name is the subject's too.
Result<Pair> issue_leaf(const Pair& authority, const std::vector<std::string>& dns_names,
                        TimePoint now, std::chrono::seconds life);
/// A certificate for the key of `authority` by `signer`: in the chain behind a leaf it makes those
/// trust the leaf who know `signer` alone. It ends with either of them. Both bear the same name, so
/// that it does not count for the path length that they allow (RFC 5280, 4.2.1.9). Error: one of
/// them has ended.
Result<std::string> cross_sign(const Pair& signer, const std::string& authority, TimePoint now);
/// The certificates behind the first one that are still valid.
std::string rest_of_chain(const std::string& certificates, TimePoint now);

/// Of the first certificate in the text; nothing when there is none.
std::optional<Facts> read_facts(const std::string& certificate);
bool key_fits(const Pair& pair);
bool is_signed_by(const std::string& certificate, const std::string& authority);

}  // namespace sidetap::certificates
