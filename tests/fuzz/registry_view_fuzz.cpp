// A hostile registry: any texts, one a line, as messages of two replicas in turn.
//
// For any input, the peers are ascending without repetitions, none counts that no replica listed,
// and none counts when both replicas have been away for long.
#include <algorithm>
#include <cstdlib>
#include <set>
#include <string_view>

#include "shared/registry/codec.h"
#include "sidecar/registry/peer_view.h"

namespace {

using namespace sidetap;
using namespace sidetap::registry;

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  PeerView view(std::chrono::seconds(15));
  std::set<net::IpAddress> named;
  const PeerView::Time now = PeerView::Time() + std::chrono::hours(1);
  for (bool first = true; !rest.empty(); first = !first) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(line.size() + 1, rest.size()));
    const std::string replica = first ? "a" : "b";
    auto message = decode_registry_message(line);
    if (!message) {
      view.lost(replica, now);
    } else if (auto* snapshot = std::get_if<Snapshot>(&*message)) {
      named.insert(snapshot->taps.begin(), snapshot->taps.end());
      view.apply(replica, std::move(*snapshot));
    } else if (const auto* change = std::get_if<Change>(&*message)) {
      named.insert(change->add.begin(), change->add.end());
      view.apply(replica, *change);
    }
    const auto peers = view.peers();
    require(std::is_sorted(peers.begin(), peers.end()));
    require(std::adjacent_find(peers.begin(), peers.end()) == peers.end());
    for (const auto& peer : peers) require(named.contains(peer));
    if (const auto services = view.services()) {
      require(std::is_sorted(services->begin(), services->end()));
      require(std::adjacent_find(services->begin(), services->end()) == services->end());
    }
  }
  view.lost("a", now);
  view.lost("b", now);
  view.expire(now + std::chrono::seconds(15));
  require(view.peers().empty() && !view.services());
  return 0;
}
