// Checks references of container images by the grammar of the distribution project, which every
// runtime reads: [REGISTRY[:PORT]/]NAME[/NAME...][:TAG][@DIGEST]. An invalid reference keeps its
// pod from starting.
#pragma once

#include <string_view>

namespace sidetap::configuration {

bool is_image_reference(std::string_view text);

}  // namespace sidetap::configuration
