// Holds the current review function and profiles, which are built from the configuration file and
// replaced when the file changes.
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

/// Safe from any thread.
class ConfigurationStore {
 public:
  /// An empty `path` means the built-in defaults; after the first time, reload() then does nothing.
  /// `verifies` checks that `ca` (PEM) verifies the certificate that the registry serves now. Its
  /// Error says why not.
  ConfigurationStore(std::string path, ReviewFactory factory,
                     std::function<Result<void>(const std::string& ca)> verifies);

  /// Reads the file and makes its function and profiles current. If that fails, logs and counts the
  /// failure and keeps the current function. Does nothing if the file has not changed.
  Result<void> reload();
  /// Sets the CA (PEM) with which new taps verify the registry, and rebuilds the current function,
  /// if any. Keeps the current CA if the text holds no certificate, or if the text would replace a
  /// CA but does not verify the registry. Logs that with `origin`, and counts it.
  Result<void> set_registry_ca(std::string ca, const std::string& origin);
  /// The same from a file. An unreadable or empty file is also a failure.
  Result<void> reload_registry_ca(const std::string& path);

  admission::Answer review(std::string_view review, Route route) const;
  /// What taps are told; null before the first configuration.
  std::shared_ptr<const profiles::Profiles> profiles() const;
  /// 1 for the first configuration, incremented with each replacement.
  std::uint64_t generation() const { return generation_; }
  std::uint64_t failures() const { return failures_; }
  /// Empty if none was set.
  std::string registry_ca() const;

 private:
  /// `told` is the last failure of this kind.
  Result<void> failed(std::string& told, std::string_view consequence, Error error);
  Result<void> configuration_failed(Error error);
  Result<void> registry_ca_failed(Error error);
  Result<void> put_in_place(std::optional<std::string> text);

  const std::string path_;
  const ReviewFactory factory_;
  const std::function<Result<void>(const std::string&)> verifies_;
  mutable std::mutex mutex_;
  std::shared_ptr<const InForce> current_;
  std::optional<std::string> in_place_;
  std::string registry_ca_;
  std::string registry_ca_in_place_;
  std::string last_failure_;
  std::string last_registry_ca_failure_;
  std::atomic<std::uint64_t> generation_{0};
  std::atomic<std::uint64_t> failures_{0};
};

}  // namespace sidetap::webhook
