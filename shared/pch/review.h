// Precompiled for targets that read admission reviews.
#pragma once

#include "shared/pch/ground.h"

#include <simdjson.h>
