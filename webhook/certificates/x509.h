// Creates and reads the two kinds of certificates that the webhook manages: an authority and the
// leaf that it serves, both ECDSA P-256. Texts are PEM.
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

/// A certificate is valid from one day before its creation, for clocks that are hours apart or show
/// local time as UTC.
inline constexpr auto kBackdate = std::chrono::hours(24);

Result<Pair> make_authority(const std::string& name, TimePoint now, std::chrono::seconds life);
/// Expires with its authority at the latest. The first name is also the subject's.
Result<Pair> issue_leaf(const Pair& authority, const std::vector<std::string>& dns_names,
                        TimePoint now, std::chrono::seconds life);
/// A certificate for the key of `authority`, signed by `signer`. After a leaf in its chain, it lets
/// clients that know only `signer` trust the leaf. It expires when either of them does. Both have
/// the same name, so that the certificate does not count towards the path length that they allow
/// (RFC 5280, 4.2.1.9). Error: one of them has expired.
Result<std::string> cross_sign(const Pair& signer, const std::string& authority, TimePoint now);
/// The certificates after the first one that are still valid.
std::string rest_of_chain(const std::string& certificates, TimePoint now);

/// The facts of the first certificate in the text; nothing if there is none.
std::optional<Facts> read_facts(const std::string& certificate);
bool key_fits(const Pair& pair);
bool is_signed_by(const std::string& certificate, const std::string& authority);

}  // namespace sidetap::certificates
