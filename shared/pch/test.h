// Precompiled for the tests, half of which look at JSON.
#pragma once

#include "shared/pch/ground.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
