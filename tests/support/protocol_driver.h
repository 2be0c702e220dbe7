// What drivers of RPCAP's protocols share: those of tests perform the actions without any I/O.
#pragma once

#include <optional>
#include <utility>
#include <variant>

#include "shared/rpcap/codec.h"

namespace sidetap::test {

inline rpcap::Header header_of(rpcap::View message) {
  return rpcap::decode_header(message.first<rpcap::kHeaderSize>());
}

/// Resumes the protocol with `first`, then with what perform(action) returns, until no action of a
/// list leads to an event.
template <typename Protocol, typename Event, typename Perform>
void drive(Protocol& protocol, Event first, Perform perform) {
  std::optional<Event> event = std::move(first);
  while (event) {
    auto actions = protocol.resume(*event);
    event.reset();
    for (auto& action : actions) {
      event = std::visit(perform, action);
      if (event) break;
    }
  }
}

}  // namespace sidetap::test
