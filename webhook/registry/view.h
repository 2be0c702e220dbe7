// What the registry knows now, for the page and other parts of the process.
#pragma once

#include <cstdint>

#include "webhook/identity/ledger.h"
#include "webhook/inventory/inventory.h"
#include "webhook/registry/service_table.h"

namespace sidetap::webhook::registry {

/// Valid within the call that hands it over.
struct View {
  const inventory::Inventory& inventory;
  const identity::Ledger& ledger;
  const ServiceTable* services = nullptr;  ///< Null: Services are not watched.
  std::uint64_t generation = 0;            ///< Of the profiles in force.
};

}  // namespace sidetap::webhook::registry
