// Reads Kubernetes quantities ("500m", "0.5", "64Mi", "1e3") by the grammar of apimachinery's
// resource.ParseQuantity. A text that the API server cannot decode is not a quantity.
#pragma once

#include <optional>
#include <string_view>

namespace sidetap::configuration {

/// The amount in base units; nothing if the text is not a quantity or cannot be a request or limit:
/// negative, or larger than 2^63-1, the maximum in Kubernetes.
std::optional<double> parse_quantity(std::string_view text);

}  // namespace sidetap::configuration
