// Precompiled for the tests of targets that wait on the network.
#pragma once

#include "shared/pch/asio.h"
#include "shared/pch/test.h"
