// Label selectors as text, as kubectl and the API take them. Pure.
//
// Source: https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
#pragma once

#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "shared/result.h"
#include "webhook/configuration/configuration.h"

namespace sidetap::webhook::coverage {

using configuration::LabelSelector;

/// "a=b,c!=d,e in (f,g),h notin (i),j,!k"; empty text matches everything. The Error's text names
/// what is accepted.
Result<LabelSelector> parse_label_selector(std::string_view text);

/// `labels` is the object's metadata.labels, or any other JSON, which counts as no labels.
bool matches(const LabelSelector& selector, const nlohmann::json& labels);

}  // namespace sidetap::webhook::coverage
