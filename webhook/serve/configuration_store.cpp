#include "webhook/serve/configuration_store.h"

#include <utility>

#include "shared/http/tls_context.h"
#include "shared/kube/credentials.h"
#include "shared/read_file.h"
#include "shared/telemetry/log.h"

namespace sidetap::webhook {

ConfigurationStore::ConfigurationStore(std::string path, ReviewFactory factory,
                                       std::function<Result<void>(const std::string& ca)> verifies)
    : path_(std::move(path)), factory_(std::move(factory)), verifies_(std::move(verifies)) {}

Result<void> ConfigurationStore::failed(std::string& told, std::string_view consequence,
                                        Error error) {
  const std::lock_guard lock(mutex_);
  // A lasting fault is found again and again: count and log it once.
  if (error.text != told) {
    told = error.text;
    ++failures_;
    telemetry::error(consequence, {{"reason", error.text}});
  }
  return error;
}

Result<void> ConfigurationStore::configuration_failed(Error error) {
  return failed(last_failure_,
                generation_ > 0 ? "new configuration refused; the old one stays in use"
                                : "no usable configuration",
                std::move(error));
}

Result<void> ConfigurationStore::registry_ca_failed(Error error) {
  return failed(last_registry_ca_failure_,
                registry_ca().empty() ? "no usable CA of the registry"
                                      : "new CA of the registry refused; the old one stays in use",
                std::move(error));
}

Result<void> ConfigurationStore::reload() {
  if (path_.empty()) return put_in_place(std::nullopt);
  auto text = read_file(path_);
  if (!text) return configuration_failed(text.error());
  return put_in_place(std::move(*text));
}

Result<void> ConfigurationStore::put_in_place(std::optional<std::string> text) {
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
  if (!made) {
    return configuration_failed(
        Error{path_.empty() ? made.error().text : path_ + ": " + made.error().text});
  }
  const std::lock_guard lock(mutex_);
  current_ = std::make_shared<const InForce>(std::move(*made));
  in_place_ = std::move(text);
  registry_ca_in_place_ = std::move(registry_ca);
  last_failure_.clear();
  ++generation_;
  telemetry::info("configuration in force", {{"file", path_.empty() ? "built-in defaults" : path_},
                                             {"loads", generation_.load()}});
  return {};
}

Result<void> ConfigurationStore::set_registry_ca(std::string ca, const std::string& origin) {
  if (auto checked = http::check_certificates(ca); !checked) {
    return registry_ca_failed(Error{origin + ": " + checked.error().text});
  }
  // The first CA is accepted unchecked: there is no better one for the pods.
  const std::string present = registry_ca();
  if (!present.empty() && ca != present) {
    if (auto verified = verifies_(ca); !verified) {
      return registry_ca_failed(Error{origin + ": " + verified.error().text});
    }
  }
  std::optional<std::string> text;
  {
    const std::lock_guard lock(mutex_);
    last_registry_ca_failure_.clear();
    registry_ca_ = std::move(ca);
    if (!current_) return {};
    text = in_place_;
  }
  // Does not read the file again: a bad file must not keep the CA from the pods.
  return put_in_place(std::move(text));
}

Result<void> ConfigurationStore::reload_registry_ca(const std::string& path) {
  auto text = kube::read_trimmed(path);
  if (!text) return registry_ca_failed(text.error());
  return set_registry_ca(*text + "\n", path);
}

std::string ConfigurationStore::registry_ca() const {
  const std::lock_guard lock(mutex_);
  return registry_ca_;
}

admission::Answer ConfigurationStore::review(std::string_view review, Route route) const {
  std::shared_ptr<const InForce> current;
  {
    const std::lock_guard lock(mutex_);
    current = current_;
  }
  return current->review(review, route);
}

std::shared_ptr<const profiles::Profiles> ConfigurationStore::profiles() const {
  const std::lock_guard lock(mutex_);
  return current_ ? current_->profiles : nullptr;
}

}  // namespace sidetap::webhook
