#include "shared/rpcap/codec.h"

#include <algorithm>
#include <concepts>

namespace sidetap::rpcap {
namespace {

constexpr std::size_t kSockaddrSize = 128;
constexpr std::uint16_t kInet = 2;
constexpr std::uint16_t kBpfFilter = 1;
constexpr std::size_t kInstructionSize = 8;
/// BPF_RET without the bits that say what is returned.
constexpr std::uint16_t kBpfClassMask = 0x07;
constexpr std::uint16_t kBpfReturn = 0x06;

template <std::unsigned_integral T>
void store(std::byte* at, T value) {
  for (std::size_t i = sizeof(T); i-- > 0; value = static_cast<T>(value >> 7 >> 1)) {
    at[i] = static_cast<std::byte>(value);
  }
}

template <std::unsigned_integral T>
T load(const std::byte* at) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) value = value << 8 | std::to_integer<unsigned>(at[i]);
  return static_cast<T>(value);
}

/// Collects a message's payload and finally writes the header in front of it.
class Writer {
 public:
  explicit Writer(MessageType type, std::uint16_t value = 0)
      : header_{.version = 0, .type = type, .value = value, .payload_size = 0},
        bytes_(kHeaderSize) {}

  template <std::unsigned_integral T>
  void number(T value) {
    bytes_.resize(bytes_.size() + sizeof(T));
    store(bytes_.data() + bytes_.size() - sizeof(T), value);
  }
  void text(std::string_view text) {
    const auto bytes = std::as_bytes(std::span(text));
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  }
  void zeros(std::size_t count) { bytes_.resize(bytes_.size() + count); }
  void address(const std::optional<net::IpAddress>& address, Ipv6Family family) {
    const std::size_t start = bytes_.size();
    if (address && address->is_v4()) {
      number(kInet);
      number(std::uint16_t{0});
      const auto bytes = address->v4_bytes();
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    } else if (address) {
      number(static_cast<std::uint16_t>(family));
      number(std::uint16_t{0});
      number(std::uint32_t{0});
      const auto bytes = address->v6_bytes();
      bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    }
    bytes_.resize(start + kSockaddrSize);
  }
  void filter(const Filter& filter) {
    number(kBpfFilter);
    number(std::uint16_t{0});
    number(static_cast<std::uint32_t>(filter.size()));
    for (const auto& instruction : filter) {
      number(instruction.code);
      number(instruction.jt);
      number(instruction.jf);
      number(instruction.k);
    }
  }
  Bytes finish() {
    header_.payload_size = static_cast<std::uint32_t>(bytes_.size() - kHeaderSize);
    encode_header(header_, std::span<std::byte, kHeaderSize>(bytes_.data(), kHeaderSize));
    return std::move(bytes_);
  }

 private:
  Header header_;
  Bytes bytes_;
};

/// Reads from the front. A read past the end returns zeros and sets a flag.
class Reader {
 public:
  explicit Reader(View bytes) : bytes_(bytes) {}

  template <std::unsigned_integral T>
  T number() {
    const View part = take(sizeof(T));
    return part.empty() ? T{0} : load<T>(part.data());
  }
  std::string text(std::size_t size) {
    const View part = take(size);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  void skip(std::size_t size) { take(size); }
  std::optional<net::IpAddress> address() {
    const View part = take(kSockaddrSize);
    if (part.empty()) return std::nullopt;
    const auto family = load<std::uint16_t>(part.data());
    if (family == kInet) return net::IpAddress::from_v4_bytes(part.subspan<4, 4>());
    if (family == static_cast<std::uint16_t>(Ipv6Family::kLinux) ||
        family == static_cast<std::uint16_t>(Ipv6Family::kWindows)) {
      return net::IpAddress::from_v6_bytes(part.subspan<8, 16>());
    }
    return std::nullopt;
  }
  Result<Filter> filter() {
    const auto type = number<std::uint16_t>();
    skip(2);
    const auto count = number<std::uint32_t>();
    if (!good_) return Error{"filter: too short"};
    if (type != kBpfFilter) return Error{"filter: type " + std::to_string(type) + " is not BPF"};
    if (count > kMaxFilterInstructions) {
      return Error{"filter: " + std::to_string(count) + " instructions are over " +
                   std::to_string(kMaxFilterInstructions)};
    }
    if (bytes_.size() < count * kInstructionSize) {
      return Error{"filter: " + std::to_string(bytes_.size()) + " bytes for " +
                   std::to_string(count) + " instructions"};
    }
    Filter filter(count);
    for (auto& instruction : filter) {
      instruction.code = number<std::uint16_t>();
      instruction.jt = number<std::uint8_t>();
      instruction.jf = number<std::uint8_t>();
      instruction.k = number<std::uint32_t>();
    }
    if (filter.size() == 1 && (filter[0].code & kBpfClassMask) == kBpfReturn) filter.clear();
    return filter;
  }
  bool good() const { return good_; }
  bool whole() const { return good_ && bytes_.empty(); }
  std::size_t left() const { return bytes_.size(); }

 private:
  View take(std::size_t size) {
    if (size > bytes_.size()) {
      good_ = false;
      bytes_ = {};
      return {};
    }
    const View part = bytes_.first(size);
    bytes_ = bytes_.subspan(size);
    return part;
  }
  View bytes_;
  bool good_ = true;
};

Error wrong_size(const char* message, View payload) {
  return Error{std::string(message) + ": " + std::to_string(payload.size()) +
               " bytes do not fit it"};
}

/// Lengths have 16 bits on the wire.
std::string_view short_text(std::string_view text) { return text.substr(0, 0xffff); }

}  // namespace

Header decode_header(std::span<const std::byte, kHeaderSize> bytes) {
  return {.version = load<std::uint8_t>(&bytes[0]),
          .type = static_cast<MessageType>(load<std::uint8_t>(&bytes[1])),
          .value = load<std::uint16_t>(&bytes[2]),
          .payload_size = load<std::uint32_t>(&bytes[4])};
}

void encode_header(const Header& header, std::span<std::byte, kHeaderSize> bytes) {
  store(&bytes[0], header.version);
  store(&bytes[1], static_cast<std::uint8_t>(header.type));
  store(&bytes[2], header.value);
  store(&bytes[4], header.payload_size);
}

Bytes encode_empty(MessageType type, std::uint16_t value) { return Writer(type, value).finish(); }

Bytes encode_error(ErrorCode code, std::string_view text) {
  Writer writer(MessageType::kError, static_cast<std::uint16_t>(code));
  writer.text(short_text(text));
  return writer.finish();
}

std::string decode_error(View payload) { return Reader(payload).text(payload.size()); }

Bytes encode_auth_request(const AuthRequest& request) {
  Writer writer(MessageType::kAuthRequest);
  const auto user = short_text(request.user);
  const auto password = short_text(request.password);
  writer.number(static_cast<std::uint16_t>(request.with_password ? 1 : 0));
  writer.number(std::uint16_t{0});
  writer.number(static_cast<std::uint16_t>(user.size()));
  writer.number(static_cast<std::uint16_t>(password.size()));
  writer.text(user);
  writer.text(password);
  return writer.finish();
}

Result<AuthRequest> decode_auth_request(View payload) {
  Reader reader(payload);
  AuthRequest request;
  const auto type = reader.number<std::uint16_t>();
  reader.skip(2);
  const auto user_size = reader.number<std::uint16_t>();
  const auto password_size = reader.number<std::uint16_t>();
  request.user = reader.text(user_size);
  request.password = reader.text(password_size);
  if (!reader.good()) return wrong_size("authentication request", payload);
  if (type > 1) return Error{"authentication type " + std::to_string(type) + " is unknown"};
  request.with_password = type == 1;
  return request;
}

Bytes encode_interfaces(std::span<const Interface> interfaces, Ipv6Family family) {
  Writer writer(MessageType::kFindAllInterfacesReply,
                static_cast<std::uint16_t>(interfaces.size()));
  for (const auto& interface : interfaces) {
    const auto name = short_text(interface.name);
    const auto description = short_text(interface.description);
    writer.number(static_cast<std::uint16_t>(name.size()));
    writer.number(static_cast<std::uint16_t>(description.size()));
    writer.number(interface.flags);
    writer.number(static_cast<std::uint16_t>(interface.addresses.size()));
    writer.number(std::uint16_t{0});
    writer.text(name);
    writer.text(description);
    for (const auto& address : interface.addresses) {
      writer.address(address.address, family);
      writer.address(address.netmask, family);
      writer.address(address.broadcast, family);
      writer.address(address.destination, family);
    }
  }
  return writer.finish();
}

Result<std::vector<Interface>> decode_interfaces(View payload, std::uint16_t count) {
  Reader reader(payload);
  std::vector<Interface> interfaces;
  for (std::uint16_t i = 0; i < count && reader.good(); ++i) {
    Interface interface;
    const auto name_size = reader.number<std::uint16_t>();
    const auto description_size = reader.number<std::uint16_t>();
    interface.flags = reader.number<std::uint32_t>();
    const auto addresses = reader.number<std::uint16_t>();
    reader.skip(2);
    interface.name = reader.text(name_size);
    interface.description = reader.text(description_size);
    for (std::uint16_t j = 0; j < addresses && reader.good(); ++j) {
      InterfaceAddress address;
      address.address = reader.address();
      address.netmask = reader.address();
      address.broadcast = reader.address();
      address.destination = reader.address();
      interface.addresses.push_back(address);
    }
    interfaces.push_back(std::move(interface));
  }
  if (!reader.whole()) return wrong_size("interface list", payload);
  return interfaces;
}

Bytes encode_open_request(std::string_view name) {
  Writer writer(MessageType::kOpenRequest);
  writer.text(short_text(name));
  return writer.finish();
}

std::string decode_open_request(View payload) {
  std::string name = Reader(payload).text(payload.size());
  // Some clients include the terminator.
  return name.substr(0, name.find('\0'));
}

Bytes encode_open_reply(const OpenReply& reply) {
  Writer writer(MessageType::kOpenReply);
  writer.number(static_cast<std::uint32_t>(reply.link_type));
  writer.number(static_cast<std::uint32_t>(reply.time_zone_offset));
  return writer.finish();
}

Result<OpenReply> decode_open_reply(View payload) {
  Reader reader(payload);
  OpenReply reply;
  reply.link_type = static_cast<std::int32_t>(reader.number<std::uint32_t>());
  reply.time_zone_offset = static_cast<std::int32_t>(reader.number<std::uint32_t>());
  if (!reader.whole()) return wrong_size("open reply", payload);
  return reply;
}

Bytes encode_start_request(const StartCaptureRequest& request) {
  Writer writer(MessageType::kStartCaptureRequest);
  writer.number(request.snaplen);
  writer.number(request.read_timeout_ms);
  writer.number(request.flags);
  writer.number(request.data_port);
  writer.filter(request.filter);
  return writer.finish();
}

Result<StartCaptureRequest> decode_start_request(View payload) {
  Reader reader(payload);
  StartCaptureRequest request;
  request.snaplen = reader.number<std::uint32_t>();
  request.read_timeout_ms = reader.number<std::uint32_t>();
  request.flags = reader.number<std::uint16_t>();
  request.data_port = reader.number<std::uint16_t>();
  auto filter = reader.filter();
  if (!filter) return Error{"start request: " + filter.error().text};
  request.filter = std::move(*filter);
  return request;
}

Bytes encode_start_reply(const StartCaptureReply& reply) {
  Writer writer(MessageType::kStartCaptureReply);
  writer.number(static_cast<std::uint32_t>(reply.buffer_size));
  writer.number(reply.data_port);
  writer.number(std::uint16_t{0});
  return writer.finish();
}

Result<StartCaptureReply> decode_start_reply(View payload) {
  Reader reader(payload);
  StartCaptureReply reply;
  reply.buffer_size = static_cast<std::int32_t>(reader.number<std::uint32_t>());
  reply.data_port = reader.number<std::uint16_t>();
  reader.skip(2);
  if (!reader.whole()) return wrong_size("start reply", payload);
  return reply;
}

Bytes encode_update_filter(const Filter& filter) {
  Writer writer(MessageType::kUpdateFilterRequest);
  writer.filter(filter);
  return writer.finish();
}

Result<Filter> decode_update_filter(View payload) { return Reader(payload).filter(); }

Bytes encode_stats(const Stats& stats) {
  Writer writer(MessageType::kStatsReply);
  writer.number(stats.received);
  writer.number(stats.dropped_by_interface);
  writer.number(stats.dropped_by_kernel);
  writer.number(stats.captured);
  return writer.finish();
}

Result<Stats> decode_stats(View payload) {
  Reader reader(payload);
  Stats stats;
  stats.received = reader.number<std::uint32_t>();
  stats.dropped_by_interface = reader.number<std::uint32_t>();
  stats.dropped_by_kernel = reader.number<std::uint32_t>();
  stats.captured = reader.number<std::uint32_t>();
  if (!reader.whole()) return wrong_size("statistics", payload);
  return stats;
}

Bytes encode_sampling(const Sampling& sampling) {
  Writer writer(MessageType::kSetSamplingRequest);
  writer.number(static_cast<std::uint8_t>(sampling.method));
  writer.zeros(3);
  writer.number(sampling.value);
  return writer.finish();
}

Result<Sampling> decode_sampling(View payload) {
  Reader reader(payload);
  const auto method = reader.number<std::uint8_t>();
  reader.skip(3);
  const auto value = reader.number<std::uint32_t>();
  if (!reader.good()) return wrong_size("sampling request", payload);
  if (method > static_cast<std::uint8_t>(SamplingMethod::kOncePerNMillis)) {
    return Error{"sampling method " + std::to_string(method) + " is unknown"};
  }
  // libpcap's client on little-endian machines always sends value 0, which cannot be intended.
  if (value == 0) return Sampling{};
  return Sampling{static_cast<SamplingMethod>(method), value};
}

}  // namespace sidetap::rpcap
