// Precompiled for targets that wait on the network or read JSON.
#pragma once

#include "shared/pch/asio.h"

#include <nlohmann/json.hpp>
