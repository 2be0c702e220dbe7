// What every tap receives, version by version: the taps that forward, what is known of Services,
// and the CA. Pure, except for the log and the metrics.
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

/// One version as messages, encoded once for all taps. Immutable.
struct News {
  std::uint64_t version = 0;
  std::shared_ptr<const std::string> snapshot;
  /// From the previous version. Null if there is none, or if one message cannot hold the change.
  std::shared_ptr<const std::string> change;
  std::uint64_t change_from = 0;
  std::shared_ptr<const std::string> ca;  ///< Null: none to send.
};

/// For one thread only.
class Bulletin {
 public:
  /// `services` is null if Services are not watched. Both must outlive this object.
  Bulletin(std::uint64_t version, ServiceTable* services, Figures& figures);

  TapSet& taps() { return taps_; }
  /// Whether publish() may have something to publish.
  bool due() const;
  /// Publishes taps and Services in one version, so that a tap learns both at once. Returns false
  /// if the changes cancel each other out.
  bool publish();
  /// Sets the message with the CA; null means none.
  void tell_ca(std::shared_ptr<const std::string> text);

  /// Never null.
  const std::shared_ptr<const News>& news() const { return news_; }
  std::uint64_t version() const { return version_; }

 private:
  std::optional<sidetap::registry::Change> next_version();
  sidetap::registry::Lists lists() const;
  void renew(const std::optional<sidetap::registry::Change>& change);

  std::uint64_t version_;
  ServiceTable* const services_;
  Figures& figures_;
  TapSet taps_;
  std::shared_ptr<const News> news_;
};

}  // namespace sidetap::webhook::registry
