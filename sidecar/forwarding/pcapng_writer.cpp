#include "sidecar/forwarding/pcapng_writer.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "shared/net/text.h"

namespace sidetap::forwarding {
namespace {

using PcapngBytes = std::vector<std::byte>;

constexpr std::uint32_t kSectionBlock = 0x0a0d0d0a;
constexpr std::uint32_t kInterfaceBlock = 1;
constexpr std::uint32_t kNamesBlock = 4;
constexpr std::uint32_t kStatisticsBlock = 5;
constexpr std::uint32_t kPacketBlock = 6;

constexpr std::uint32_t kByteOrderMark = 0x1a2b3c4d;
constexpr std::uint64_t kLengthUnknown = ~std::uint64_t{0};

constexpr std::uint16_t kEndOfOptions = 0;
constexpr std::uint16_t kSectionApplication = 4;
constexpr std::uint16_t kInterfaceName = 2;
constexpr std::uint16_t kInterfaceDescription = 3;
constexpr std::uint16_t kInterfaceResolution = 9;
constexpr std::byte kNanoseconds{9};
constexpr std::uint16_t kStatisticsReceived = 4;
constexpr std::uint16_t kStatisticsDropped = 5;
constexpr std::uint16_t kNameOfV4 = 1;
constexpr std::uint16_t kNameOfV6 = 2;

template <typename T>
void put_number(PcapngBytes& out, T value) {
  const std::size_t at = out.size();
  out.resize(at + sizeof value);
  std::memcpy(out.data() + at, &value, sizeof value);
}

void put_bytes(PcapngBytes& out, std::span<const std::byte> bytes) {
  out.insert(out.end(), bytes.begin(), bytes.end());
}

void put_padding(PcapngBytes& out, std::size_t behind) {
  out.resize(out.size() + (4 - behind % 4) % 4);
}

/// Code, length, value and padding: an option, or a record of a name resolution block.
void put_option(PcapngBytes& out, std::uint16_t code, std::span<const std::byte> value) {
  put_number(out, code);
  put_number(out, static_cast<std::uint16_t>(value.size()));
  put_bytes(out, value);
  put_padding(out, value.size());
}

void put_end_of_options(PcapngBytes& out) { put_option(out, kEndOfOptions, {}); }

std::string clean_text(std::string_view text, std::size_t most) {
  std::string clean(net::shortened_text(text, most));
  for (char& c : clean) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '_';
  }
  return clean;
}

void put_text(PcapngBytes& out, std::uint16_t code, std::string_view text, std::size_t most) {
  const std::string clean = clean_text(text, most);
  if (!clean.empty()) put_option(out, code, std::as_bytes(std::span(clean)));
}

void put_name(PcapngBytes& out, const NamedAddress& named) {
  const std::string name = clean_text(named.name, PcapngWriter::kMostName);
  PcapngBytes record;
  if (named.address.is_v4()) {
    put_bytes(record, named.address.v4_bytes());
  } else {
    put_bytes(record, named.address.v6_bytes());
  }
  put_bytes(record, std::as_bytes(std::span(name)));
  record.push_back(std::byte{0});
  put_option(out, named.address.is_v4() ? kNameOfV4 : kNameOfV6, record);
}

/// A block while it is written: its length stands at both ends.
class OpenBlock {
 public:
  OpenBlock(PcapngBytes& out, std::uint32_t type) : out_(out), at_(out.size()) {
    put_number(out_, type);
    put_number(out_, std::uint32_t{0});
  }
  void close() {
    const auto length = static_cast<std::uint32_t>(out_.size() - at_ + 4);
    std::memcpy(out_.data() + at_ + 4, &length, sizeof length);
    put_number(out_, length);
  }

 private:
  PcapngBytes& out_;
  std::size_t at_;
};

}  // namespace

void PcapngWriter::add_section(std::vector<std::byte>& out, std::string_view application) {
  OpenBlock block(out, kSectionBlock);
  put_number(out, kByteOrderMark);
  put_number(out, std::uint16_t{1});  // version 1.0
  put_number(out, std::uint16_t{0});
  put_number(out, kLengthUnknown);
  put_text(out, kSectionApplication, application, kMostName);
  put_end_of_options(out);
  block.close();
}

void PcapngWriter::add_interface(std::vector<std::byte>& out, std::string_view name,
                                 std::string_view description) const {
  OpenBlock block(out, kInterfaceBlock);
  put_number(out, link_type_);
  put_number(out, std::uint16_t{0});  // reserved
  put_number(out, snaplen_);
  put_text(out, kInterfaceName, name, kMostName);
  put_text(out, kInterfaceDescription, description, kMostDescription);
  put_option(out, kInterfaceResolution, {&kNanoseconds, 1});
  put_end_of_options(out);
  block.close();
}

void PcapngWriter::add_names(std::vector<std::byte>& out, std::span<const NamedAddress> names) {
  std::vector<NamedAddress> named;
  std::copy_if(names.begin(), names.end(), std::back_inserter(named),
               [](const NamedAddress& each) { return !each.name.empty(); });
  for (std::size_t at = 0; at < named.size(); at += kMostNames) {
    OpenBlock block(out, kNamesBlock);
    const std::size_t end = std::min(at + kMostNames, named.size());
    for (std::size_t i = at; i < end; ++i) put_name(out, named[i]);
    put_end_of_options(out);  // records end alike
    block.close();
  }
}

void PcapngWriter::add_statistics(std::vector<std::byte>& out, std::uint32_t interface,
                                  std::uint64_t time, const InterfaceTotals& totals) {
  OpenBlock block(out, kStatisticsBlock);
  put_number(out, interface);
  put_number(out, static_cast<std::uint32_t>(time >> 32));
  put_number(out, static_cast<std::uint32_t>(time));
  put_option(out, kStatisticsReceived, std::as_bytes(std::span(&totals.received, 1)));
  put_option(out, kStatisticsDropped, std::as_bytes(std::span(&totals.dropped, 1)));
  put_end_of_options(out);
  block.close();
}

RecordFrame PcapngWriter::frame(const PacketRecord& packet) {
  const std::uint64_t time = std::uint64_t{packet.seconds} * 1'000'000'000 + packet.nanoseconds;
  const auto length = static_cast<std::uint32_t>(size_of_packet(packet.captured));
  const std::array<std::uint32_t, kPacketHead / 4> words{kPacketBlock,
                                                         length,
                                                         packet.interface,
                                                         static_cast<std::uint32_t>(time >> 32),
                                                         static_cast<std::uint32_t>(time),
                                                         packet.captured,
                                                         packet.length};
  RecordFrame frame;
  std::memcpy(frame.head_bytes.data(), words.data(), sizeof words);
  frame.head_size = sizeof words;
  const std::size_t padding = (4 - packet.captured % 4) % 4;
  std::memcpy(frame.tail_bytes.data() + padding, &length, sizeof length);
  frame.tail_size = padding + sizeof length;
  return frame;
}

}  // namespace sidetap::forwarding
