// The time that the ledger, the inventory and their readers use.
#pragma once

#include <chrono>

#include "webhook/identity/ledger.h"

namespace sidetap::webhook::registry {

inline identity::Time wall_time() {
  return std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

}  // namespace sidetap::webhook::registry
