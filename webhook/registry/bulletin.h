// What every tap is told, one version after the other: the taps that forward, the Services, the CA.
// Pure but for the log and the counts.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "shared/registry/messages.h"
#include "webhook/registry/metrics.h"
#include "webhook/registry/service_table.h"
#include "webhook/registry/tap_set.h"

namespace sidetap::webhook::registry {

/// One version as messages, made once for all taps. Immutable.
struct News {
  std::uint64_t version = 0;
  std::shared_ptr<const std::string> snapshot;
  /// From the version before; null when there was none, or no message holds it.
  std::shared_ptr<const std::string> change;
  std::uint64_t change_from = 0;
  std::shared_ptr<const std::string> ca;  ///< Null: none to tell.
};

/// One thread.
class Bulletin {
 public:
  /// `services`: null where they are not watched. Both outlive this object.
  Bulletin(std::uint64_t version, ServiceTable* services, Figures& figures);

  TapSet& taps() { return taps_; }
  /// Is there anything that publish() may tell?
  bool due() const;
  /// Taps and Services in one version: a view is dropped together with the news that it may be.
  /// False: the changes come to nothing.
  bool publish();
  /// The message; null: none.
  void tell_ca(std::shared_ptr<const std::string> text);

  /// Never null.
  const std::shared_ptr<const News>& news() const { return news_; }
  std::uint64_t version() const { return version_; }

 private:
  std::optional<sidetap::registry::Change> next_version();
  void renew(const std::optional<sidetap::registry::Change>& change);

  std::uint64_t version_;
  ServiceTable* const services_;
  Figures& figures_;
  TapSet taps_;
  std::shared_ptr<const News> news_;
};

}  // namespace sidetap::webhook::registry
