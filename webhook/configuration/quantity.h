// Kubernetes quantities ("500m", "0.5", "64Mi", "1e3"), by the grammar of apimachinery's
// resource.ParseQuantity: what the API server cannot decode is none.
#pragma once

#include <optional>
#include <string_view>

namespace sidetap::configuration {

/// The amount; nothing when the text is no quantity, or one that no request or limit can be:
/// negative, or larger than 2^63-1, which is where Kubernetes stops counting.
std::optional<double> parse_quantity(std::string_view text);

}  // namespace sidetap::configuration
