// Precompiled for the tests.
#pragma once

#include "shared/pch/ground.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
