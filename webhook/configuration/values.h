// Checks of single values, for the configuration file and for a pod's own annotations alike. Each
// gives what is accepted when the value is not. Those of what a tap reads are in
// shared/tap/settings.h, but for the sensors.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/result.h"

namespace sidetap::configuration {

/// HOST[:PORT],... , at most 10; those without a port get `default_port`. The value is normalised,
/// and names each sensor once.
Result<std::string> check_sensor(std::string_view text, std::uint16_t default_port);
/// An image reference: [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST].
Result<std::string> check_image(std::string_view text);
/// From 1m, the smallest that Kubernetes tells apart, to 1024.
Result<std::string> check_cpu(std::string_view text);
/// From 16Mi, which the tap needs to run, to 1Ti.
Result<std::string> check_memory(std::string_view text);
/// A name of an environment variable, or the beginning of one.
Result<std::string> check_variable_name(std::string_view text);
/// A DNS subdomain, which most Kubernetes objects' names are.
Result<std::string> check_object_name(std::string_view text);
/// At most 63 lower-case letters, digits and hyphens, no hyphen at either end.
bool is_dns_label(std::string_view text);

}  // namespace sidetap::configuration
