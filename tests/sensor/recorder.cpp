#include "tests/sensor/recorder.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "shared/rpcap/codec.h"

namespace sidetap::sensor {
namespace {

constexpr std::size_t kFileBuffer = 1U << 20;

/// Numbers of this machine's byte order, as pcap files have them (the magic number tells which).
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
  if (drop_every_ != 0 && ++seen_datagrams_ % drop_every_ == 0) return;
  if (datagram.size() >= rpcap::kHeaderSize &&
      datagram[1] == static_cast<std::byte>(rpcap::MessageType::kPacket)) {
    ++plain_datagrams_;
    on_stream(datagram);
    if (!stream_.empty()) {
      ++malformed_;
      stream_.clear();
    }
    return;
  }
  unpacker_.add(datagram);
}

void Recorder::on_stream(std::span<const std::byte> bytes) {
  stream_.insert(stream_.end(), bytes.begin(), bytes.end());
  std::size_t at = 0;
  const std::span<const std::byte> all(stream_);
  while (all.size() - at >= rpcap::kHeaderSize) {
    const rpcap::Header message = rpcap::decode_header(all.subspan(at).first<rpcap::kHeaderSize>());
    const std::size_t payload = message.payload_size;
    if (message.type != rpcap::MessageType::kPacket || payload < rpcap::kPacketHeaderSize ||
        payload > rpcap::kMaxPacketBytes) {
      // A stream that is out of step cannot be trusted again.
      ++malformed_;
      stream_.clear();
      return;
    }
    if (all.size() - at < rpcap::kHeaderSize + payload) break;
    const auto body = all.subspan(at + rpcap::kHeaderSize, payload);
    const rpcap::PacketHeader header =
        rpcap::decode_packet_header(body.first<rpcap::kPacketHeaderSize>());
    if (header.captured == payload - rpcap::kPacketHeaderSize) {
      on_packet(header, body.subspan(rpcap::kPacketHeaderSize));
    } else {
      ++malformed_;
    }
    at += rpcap::kHeaderSize + payload;
  }
  stream_.erase(stream_.begin(), stream_.begin() + static_cast<std::ptrdiff_t>(at));
}

void Recorder::on_packet(const rpcap::PacketHeader& header, std::span<const std::byte> bytes) {
  ++packets_;
  bytes_ += bytes.size();
  if (header.number > last_number_ + 1) missing_packets_ += header.number - last_number_ - 1;
  last_number_ = header.number;
  if (!file_) return;
  write_numbers(file_.get(), header.seconds, header.microseconds, header.captured, header.length);
  std::fwrite(bytes.data(), 1, bytes.size(), file_.get());
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
                        {"datagrams", udpstr.datagrams + plain_datagrams_},
                        {"lost_datagrams", udpstr.lost_datagrams},
                        {"late_datagrams", udpstr.late_datagrams},
                        {"broken_packets", udpstr.broken_packets},
                        {"missing_packets", missing_packets_},
                        {"malformed", udpstr.malformed + malformed_},
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
