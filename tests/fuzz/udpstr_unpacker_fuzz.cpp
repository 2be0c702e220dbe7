// The udpstr stream, in two ways; the first byte chooses.
//
// Hostile: the input is split into datagrams, which go to the unpacker unchanged. Lossy: the input
// says which packets are packed, and which datagrams are lost, duplicated or swapped. Every packet
// that comes out is one that went in, in order, and every packet comes out unless a datagram with a
// part of it was lost.
#include <algorithm>
#include <cstdlib>
#include <span>
#include <vector>

#include "shared/rpcap/udpstr_packer.h"
#include "shared/rpcap/udpstr_unpacker.h"

namespace {

using namespace sidetap::rpcap;
using Datagram = std::vector<std::byte>;

void require(bool holds) {
  if (!holds) std::abort();
}

class Input {
 public:
  explicit Input(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}
  bool empty() const { return bytes_.empty(); }
  std::uint8_t byte() {
    if (bytes_.empty()) return 0;
    const std::uint8_t value = bytes_.front();
    bytes_ = bytes_.subspan(1);
    return value;
  }
  std::span<const std::byte> take(std::size_t size) {
    const auto part = std::as_bytes(bytes_.first(std::min(size, bytes_.size())));
    bytes_ = bytes_.subspan(part.size());
    return part;
  }

 private:
  std::span<const std::uint8_t> bytes_;
};

void check_counts(const UdpstrCounts& counts, std::uint64_t delivered, std::uint64_t given) {
  require(counts.packets == delivered);
  require(counts.datagrams == given);
  require(counts.malformed + counts.late_datagrams <= counts.datagrams);
}

void hostile(Input input) {
  std::uint64_t delivered = 0;
  UdpstrUnpacker unpacker([&](const PacketHeader& header, std::span<const std::byte> bytes) {
    require(header.captured == bytes.size() && header.captured <= kMaxPacketBytes);
    ++delivered;
  });
  std::uint64_t given = 0;
  while (!input.empty()) {
    // A copy of its own, so that the sanitizer sees each datagram's end.
    const auto part = input.take(input.byte());
    unpacker.add(Datagram(part.begin(), part.end()));
    ++given;
  }
  check_counts(unpacker.counts(), delivered, given);
}

std::byte content(std::uint32_t number, std::size_t at) {
  return static_cast<std::byte>(number * 31 + at);
}

struct Sent {
  std::size_t first_datagram;  // that holds a part of the packet
  std::size_t last_datagram;
  std::size_t size;
};

struct Stream {
  std::vector<Datagram> datagrams;
  std::vector<Sent> sent;
};

/// What the input says is packed.
Stream packed(Input& input) {
  const std::size_t datagram_size = kMinUdpstrDatagram + input.byte();
  UdpstrPacker packer(datagram_size, datagram_size);
  Stream stream;
  const auto flush = [&] {
    for (const auto& run : packer.runs()) {
      for (std::size_t at = 0; at < run.size; at += run.datagram) {
        const std::byte* begin = packer.data() + run.offset + at;
        stream.datagrams.emplace_back(begin, begin + std::min(run.datagram, run.size - at));
      }
    }
    packer.clear();
  };
  const std::size_t count = input.byte() % 64;
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::size_t size = input.byte() * 4U;
    Datagram body(size);
    for (std::size_t at = 0; at < size; ++at) body[at] = content(i + 1, at);
    const std::uint32_t captured = static_cast<std::uint32_t>(size);
    const std::uint32_t before = packer.next_seqno();
    const bool was_empty = packer.empty();
    packer.add({.captured = captured, .length = captured, .number = i + 1},
               std::span(body).first(size / 3), std::span(body).subspan(size / 3), flush);
    // The open datagram before may have held its header; that makes the claim below weaker only.
    const std::size_t first = was_empty || before == 0 ? before : before - 1;
    stream.sent.push_back({first, packer.next_seqno() - 1, size});
    if (input.byte() % 8 == 0) {
      packer.finish();
      flush();
    }
  }
  packer.finish();
  flush();
  return stream;
}

void lossy(Input input) {
  const Stream stream = packed(input);
  const std::vector<Datagram>& datagrams = stream.datagrams;
  const std::vector<Sent>& sent = stream.sent;
  const std::size_t count = sent.size();
  std::vector<bool> lost(datagrams.size());
  std::vector<bool> delivered(count);
  std::uint32_t last = 0;
  UdpstrUnpacker unpacker([&](const PacketHeader& header, std::span<const std::byte> bytes) {
    require(header.number > last && header.number <= count);
    last = header.number;
    require(bytes.size() == sent[header.number - 1].size);
    for (std::size_t at = 0; at < bytes.size(); ++at)
      require(bytes[at] == content(header.number, at));
    delivered[header.number - 1] = true;
  });
  std::uint64_t given = 0;
  std::uint64_t doubled = 0;
  for (std::size_t i = 0; i < datagrams.size(); ++i) {
    const std::uint8_t fate = input.byte();
    lost[i] = fate % 4 == 1;
    if (lost[i]) continue;
    const unsigned copies = fate % 4 == 2 ? 2 : 1;
    doubled += copies - 1;
    for (unsigned c = 0; c < copies; ++c) {
      unpacker.add(datagrams[i]);
      ++given;
    }
  }
  require(unpacker.counts().malformed == 0);
  require(unpacker.counts().late_datagrams == doubled);
  for (std::uint32_t i = 0; i < count; ++i) {
    const Sent& s = sent[i];
    bool whole = true;
    for (std::size_t d = s.first_datagram; d <= s.last_datagram; ++d) whole = whole && !lost[d];
    require(delivered[i] || !whole);
  }
  check_counts(unpacker.counts(),
               static_cast<std::uint64_t>(std::count(delivered.begin(), delivered.end(), true)),
               given);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const Input input(std::span(data, size).subspan(1));
  if (data[0] % 2 == 0) {
    hostile(input);
  } else {
    lossy(input);
  }
  return 0;
}
