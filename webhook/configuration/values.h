// Checks of single values, for the configuration file and for a pod's own annotations alike. Each
// gives what is accepted when the value is not, and agrees with the tap's own options.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "shared/result.h"

namespace sidetap::configuration {

/// HOST[:PORT],... , at most 10; those without a port get `default_port`. The value is normalised.
Result<std::string> check_sensor(std::string_view text, std::uint16_t default_port);
Result<std::uint32_t> check_snaplen(std::string_view text);
/// A comma list of interface names; empty is accepted.
Result<std::string> check_interface(std::string_view text);
Result<std::string> check_log_level(std::string_view text);
/// An image reference, as far as a typing error shows.
Result<std::string> check_image(std::string_view text);
/// At least 1m.
Result<std::string> check_cpu(std::string_view text);
/// At least 16Mi, which the tap needs to run.
Result<std::string> check_memory(std::string_view text);

/// A Kubernetes quantity ("500m", "0.5", "64Mi", "1e3") as a number; nothing when it is none.
std::optional<double> parse_quantity(std::string_view text);
/// The same amount, however it is written.
bool same_quantity(std::string_view a, std::string_view b);

}  // namespace sidetap::configuration
