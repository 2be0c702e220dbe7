// The decision's function in force, made from the configuration file and replaced when it changes.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "webhook/serve/review_factory.h"

namespace sidetap::webhook {

/// Any thread.
class ConfigurationStore {
 public:
  /// `path` empty: built-in defaults, and reload() has nothing to do after the first.
  /// `verifies`: is this the CA, PEM, of the registry's certificate as it is served now? Errors say
  /// why not.
  ConfigurationStore(std::string path, ReviewFactory factory,
                     std::function<Result<void>(const std::string& ca)> verifies);

  /// Reads the file and puts its function in place. When that fails the one before stays; logs and
  /// counts. Does nothing when the file is the one in place.
  Result<void> reload();
  /// Whom taps trust as registry from now on, PEM; where a configuration is in force it is made
  /// anew. When the text holds no certificate, or the present one would be replaced by one that
  /// does not verify the registry, the one before stays; logs, by its origin, and counts.
  Result<void> set_registry_ca(std::string ca, const std::string& origin);
  /// The same from a file. One that cannot be read or is empty is a failure too.
  Result<void> reload_registry_ca(const std::string& path);

  admission::Answer review(std::string_view review, Route route) const;
  /// 1 for the first configuration, one more for each that took its place.
  std::uint64_t generation() const { return generation_; }
  std::uint64_t failures() const { return failures_; }
  /// Empty: none was set.
  std::string registry_ca() const;

 private:
  /// `told`: the last failure of this kind.
  Result<void> failed(std::string& told, std::string_view consequence, Error error);
  Result<void> configuration_failed(Error error);
  Result<void> registry_ca_failed(Error error);
  Result<void> put_in_place(std::optional<std::string> text);

  const std::string path_;
  const ReviewFactory factory_;
  const std::function<Result<void>(const std::string&)> verifies_;
  mutable std::mutex mutex_;
  std::shared_ptr<const ReviewFunction> current_;
  std::optional<std::string> in_place_;
  std::string registry_ca_;
  std::string registry_ca_in_place_;
  std::string last_failure_;
  std::string last_registry_ca_failure_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace sidetap::webhook
