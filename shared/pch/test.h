// Precompiled for the tests, half of which look at JSON.
#pragma once

#include "shared/pch/ground.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
