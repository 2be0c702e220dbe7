// A hostile registry: any text as a message to a tap. What the tap takes is within the limits and
// survives the wire: encoded and decoded again it is the same.
#include <cstdlib>
#include <string_view>

#include "shared/registry/codec.h"
#include "shared/registry/lists.h"

namespace {

using namespace sidetap::registry;

void require(bool holds) {
  if (!holds) std::abort();
}

void check(const Snapshot& snapshot) {
  std::size_t together = 0;
  for_each_list([&](const auto& list) {
    const std::size_t items = (snapshot.lists.*list.member).size();
    require(items <= list.most);
    require(items == 0 || list.known_to(snapshot));
    together += items;
  });
  require(together <= kMostMessageItems);
}
void check(const Change& change) { require(fits(change)); }
void check(const Settings& settings) {
  require(settings.values.size() <= kMostSettings);
  for (const auto& [name, value] : settings.values) {
    require(name.size() <= kMostReportedText && value.size() <= kMostSettingBytes);
  }
}
void check(const CaBundle&) {}
void check(const Refused&) {}
void check(const Unknown&) {}

template <typename T>
void survives(const T& message) {
  const auto again = decode_registry_message(encode(message));
  require(again && *again == Message(message));
}
void survives(const Unknown&) {}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto message = decode_registry_message({reinterpret_cast<const char*>(data), size});
  if (!message) {
    require(!message.error().text.empty());
    return 0;
  }
  std::visit([](const auto& said) { check(said), survives(said); }, *message);
  return 0;
}
