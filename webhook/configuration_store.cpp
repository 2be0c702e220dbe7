#include "webhook/configuration_store.h"

#include <fstream>
#include <iterator>
#include <utility>

#include "shared/telemetry/log.h"

namespace sidetap::webhook {

ConfigurationStore::ConfigurationStore(std::string path, ReviewFactory factory)
    : path_(std::move(path)), factory_(std::move(factory)) {}

Result<void> ConfigurationStore::failed(std::string reason) {
  const std::lock_guard lock(mutex_);
  // A fault that stays is looked at again and again: count and tell it once.
  if (reason != last_failure_) {
    last_failure_ = reason;
    ++failures_;
    telemetry::error(
        current_ ? "new configuration refused, the old one stays" : "no usable configuration",
        {{"file", path_}, {"reason", reason}});
  }
  return Error{path_ + ": " + reason};
}

Result<void> ConfigurationStore::reload() {
  std::optional<std::string> text;
  if (!path_.empty()) {
    std::ifstream file(path_, std::ios::binary);
    if (!file) return failed("cannot be opened");
    text.emplace(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
    if (file.bad()) return failed("cannot be read");
  }
  std::string registry_ca;
  {
    const std::lock_guard lock(mutex_);
    registry_ca = registry_ca_;
    if (current_ && text == in_place_ && registry_ca == registry_ca_in_place_) {
      last_failure_.clear();
      return {};
    }
  }
  auto made = factory_(text, registry_ca);
  if (!made) return failed(made.error().text);
  const std::lock_guard lock(mutex_);
  current_ = std::make_shared<const ReviewFunction>(std::move(*made));
  in_place_ = std::move(text);
  registry_ca_in_place_ = std::move(registry_ca);
  last_failure_.clear();
  ++generation_;
  telemetry::info("configuration in force", {{"file", path_.empty() ? "built-in defaults" : path_},
                                             {"generation", generation_.load()}});
  return {};
}

void ConfigurationStore::set_registry_ca(std::string ca) {
  {
    const std::lock_guard lock(mutex_);
    registry_ca_ = std::move(ca);
  }
  // A failure is logged and counted there, and the old configuration stays.
  static_cast<void>(reload());
}

Outcome ConfigurationStore::review(std::string_view review, admission::Rule called) const {
  std::shared_ptr<const ReviewFunction> function;
  {
    const std::lock_guard lock(mutex_);
    function = current_;
  }
  return (*function)(review, called);
}

}  // namespace sidetap::webhook
