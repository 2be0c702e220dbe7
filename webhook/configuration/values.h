// Checks of single values, for the configuration file and for a pod's annotations. Each returns the
// value to keep; the Error says what is accepted. The checks of tap settings, except for the
// sensors, are in shared/tap/settings.h.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/result.h"

namespace sidetap::configuration {

/// HOST[:PORT],... , at most 10. Sensors without a port get `default_port`. The result is
/// normalized and names each sensor once.
Result<std::string> check_sensor(std::string_view text, std::uint16_t default_port);
/// An image reference: [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST].
Result<std::string> check_image(std::string_view text);
/// From 1m, the smallest unit of Kubernetes, to 1024.
Result<std::string> check_cpu(std::string_view text);
/// From 16Mi, which the tap needs to run, to 1Ti.
Result<std::string> check_memory(std::string_view text);
/// The name of an environment variable, or the beginning of one.
Result<std::string> check_variable_name(std::string_view text);
/// A DNS subdomain, the form of most Kubernetes object names.
Result<std::string> check_object_name(std::string_view text);
/// At most 63 lower-case letters, digits and hyphens, no hyphen at either end.
bool is_dns_label(std::string_view text);

}  // namespace sidetap::configuration
