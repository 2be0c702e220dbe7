// Precompiled for what makes trees of documents.
#pragma once

#include "shared/pch/ground.h"

#include <nlohmann/json.hpp>
