// Checks the operator's own fields of the tap's container as the API server and the node do. A
// field that they refuse would keep every tapped pod from starting.
#pragma once

#include <map>
#include <string>

#include "webhook/configuration/section.h"

namespace sidetap::configuration {

/// The fields as JSON text, by name. Throws Fault.
std::map<std::string, std::string> read_container_template(Section section);

}  // namespace sidetap::configuration
