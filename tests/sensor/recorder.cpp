#include "tests/sensor/recorder.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "shared/rpcap/codec.h"

namespace sidetap::sensor {
namespace {

constexpr std::size_t kFileBuffer = 1U << 20;

/// Writes numbers in this machine's byte order, as pcap files may (the magic number identifies it).
template <typename... T>
void write_numbers(std::FILE* file, T... numbers) {
  (std::fwrite(&numbers, sizeof numbers, 1, file), ...);
}

}  // namespace

Recorder::Recorder(std::string peer, std::uint32_t drop_every)
    : peer_(std::move(peer)),
      drop_every_(drop_every),
      unpacker_([this](const rpcap::PacketHeader& header, std::span<const std::byte> bytes) {
        on_packet(header, bytes);
      }) {}

Result<void> Recorder::open_file(const std::string& path, std::int32_t link_type) {
  path_ = path;
  file_.reset(std::fopen(path.c_str(), "wb"));
  if (!file_) return Error{"cannot write " + path + ": " + std::strerror(errno)};
  std::setvbuf(file_.get(), nullptr, _IOFBF, kFileBuffer);
  // https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-05.html
  write_numbers(file_.get(), std::uint32_t{0xa1b2c3d4}, std::uint16_t{2}, std::uint16_t{4},
                std::uint32_t{0}, std::uint32_t{0}, rpcap::kMaxPacketBytes,
                static_cast<std::uint32_t>(link_type));
  return {};
}

void Recorder::on_datagram(std::span<const std::byte> datagram) {
  if (drop_every_ != 0 && ++seen_datagrams_ % drop_every_ == 0) {
    ++dropped_on_request_;
    return;
  }
  if (datagram.size() >= rpcap::kHeaderSize &&
      datagram[1] == static_cast<std::byte>(rpcap::MessageType::kPacket)) {
    ++plain_datagrams_;
    bool sound = true;
    if (take_messages(datagram, sound) != datagram.size() && sound) ++malformed_;
    return;
  }
  unpacker_.add(datagram);
}

bool Recorder::on_stream(std::span<const std::byte> bytes) {
  if (!stream_sound_) return false;
  if (stream_.empty()) {
    const std::size_t taken = take_messages(bytes, stream_sound_);
    stream_.assign(bytes.begin() + static_cast<std::ptrdiff_t>(taken), bytes.end());
  } else {
    stream_.insert(stream_.end(), bytes.begin(), bytes.end());
    const std::size_t taken = take_messages(stream_, stream_sound_);
    stream_.erase(stream_.begin(), stream_.begin() + static_cast<std::ptrdiff_t>(taken));
  }
  return stream_sound_;
}

/// Records the complete messages and returns their size. Sets `sound` to false if there is anything
/// other than a message with a packet.
std::size_t Recorder::take_messages(std::span<const std::byte> bytes, bool& sound) {
  std::size_t at = 0;
  while (bytes.size() - at >= rpcap::kHeaderSize) {
    const auto message = rpcap::decode_header(bytes.subspan(at).first<rpcap::kHeaderSize>());
    const std::size_t payload = message.payload_size;
    if (message.version != 0 || message.type != rpcap::MessageType::kPacket ||
        payload < rpcap::kPacketHeaderSize ||
        payload > rpcap::kPacketHeaderSize + rpcap::kMaxPacketBytes) {
      ++malformed_;
      sound = false;
      break;
    }
    if (bytes.size() - at < rpcap::kHeaderSize + payload) break;
    const auto body = bytes.subspan(at + rpcap::kHeaderSize, payload);
    const auto header = rpcap::decode_packet_header(body.first<rpcap::kPacketHeaderSize>());
    if (header.captured == payload - rpcap::kPacketHeaderSize) {
      on_packet(header, body.subspan(rpcap::kPacketHeaderSize));
    } else {
      ++malformed_;
    }
    at += rpcap::kHeaderSize + payload;
  }
  return at;
}

void Recorder::on_packet(const rpcap::PacketHeader& header, std::span<const std::byte> bytes) {
  ++packets_;
  bytes_ += bytes.size();
  // The number wraps; a lower one is late.
  const auto ahead = static_cast<std::int32_t>(header.number - last_number_ - 1);
  if (ahead > 0) missing_packets_ += static_cast<std::uint32_t>(ahead);
  if (ahead >= 0) last_number_ = header.number;
  if (arrival_ != 0)
    latency_.add(arrival_ - std::int64_t{header.seconds} * 1'000'000 - header.microseconds);
  if (!file_) return;
  const std::array<std::uint32_t, 4> record{header.seconds, header.microseconds, header.captured,
                                            header.length};
  fwrite_unlocked(record.data(), sizeof record, 1, file_.get());
  fwrite_unlocked(bytes.data(), 1, bytes.size(), file_.get());
}

void Recorder::flush() {
  if (file_) std::fflush(file_.get());
}

nlohmann::json Recorder::totals() const {
  const rpcap::UdpstrCounts& udpstr = unpacker_.counts();
  nlohmann::json addresses = nlohmann::json::array();
  for (const rpcap::InterfaceAddress& entry : interface_.addresses) {
    if (entry.address) addresses.push_back(entry.address->to_string());
  }
  nlohmann::json totals{{"peer", peer_},
                        {"interface", interface_.name},
                        {"description", interface_.description},
                        {"addresses", addresses},
                        {"packets", packets_},
                        {"bytes", bytes_},
                        {"datagrams", datagrams()},
                        {"dropped_on_request", dropped_on_request_},
                        {"lost_datagrams", udpstr.lost_datagrams},
                        {"late_datagrams", udpstr.late_datagrams},
                        {"broken_packets", udpstr.broken_packets},
                        {"missing_packets", missing_packets_},
                        {"malformed", udpstr.malformed + malformed_},
                        {"latency_us",
                         {{"p50", latency_.percentile(50)},
                          {"p99", latency_.percentile(99)},
                          {"max", latency_.most()}}},
                        {"ended_by", ended_},
                        {"pcap", path_},
                        {"stats",
                         {{"received", stats_.received},
                          {"dropped_by_interface", stats_.dropped_by_interface},
                          {"dropped_by_kernel", stats_.dropped_by_kernel},
                          {"captured", stats_.captured}}}};
  if (!error_.empty()) totals["error"] = error_;
  return totals;
}

}  // namespace sidetap::sensor
