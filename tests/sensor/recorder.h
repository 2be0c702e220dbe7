// Counts the packets of one session, and writes them to a capture file if requested.
#pragma once

#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "shared/result.h"
#include "shared/rpcap/messages.h"
#include "shared/rpcap/udpstr_unpacker.h"
#include "tests/sensor/latency.h"

namespace sidetap::sensor {

/// Takes packets and datagrams of one session.
class Recorder {
 public:
  Recorder(std::string peer, std::uint32_t drop_every);

  /// Starts a capture file (pcap, microseconds). Error: the file cannot be written.
  Result<void> open_file(const std::string& path, std::int32_t link_type);

  /// Sets the arrival time of what follows, in microseconds since 1970. Without it, no latency is
  /// measured.
  void set_arrival(std::int64_t microseconds) { arrival_ = microseconds; }
  /// Takes a UDP datagram, plain or packed, as the type byte says.
  void on_datagram(std::span<const std::byte> datagram);
  /// Takes the bytes of a TCP stream in any pieces. Returns false if they are not RPCAP; no further
  /// bytes can then be.
  bool on_stream(std::span<const std::byte> bytes);

  void set_interface(const rpcap::Interface& interface) { interface_ = interface; }
  void set_stats(const rpcap::Stats& stats) { stats_ = stats; }
  void set_error(std::string text) { error_ = std::move(text); }
  /// Who ended the session: "sensor", "tap" or "error".
  void set_ended(std::string by) { ended_ = std::move(by); }
  /// Flushes the capture file.
  void flush();
  nlohmann::json totals() const;
  const std::string& peer() const { return peer_; }
  std::uint64_t packets() const { return packets_; }
  std::uint64_t datagrams() const { return unpacker_.counts().datagrams + plain_datagrams_; }

 private:
  void on_packet(const rpcap::PacketHeader& header, std::span<const std::byte> bytes);
  std::size_t take_messages(std::span<const std::byte> bytes, bool& sound);

  struct CloseFile {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };

  std::string peer_;
  std::uint32_t drop_every_;
  rpcap::Interface interface_;
  rpcap::Stats stats_;
  std::string error_;
  std::string ended_;
  std::string path_;
  std::unique_ptr<std::FILE, CloseFile> file_;
  rpcap::UdpstrUnpacker unpacker_;
  std::vector<std::byte> stream_;  // the beginning of an incomplete message
  bool stream_sound_ = true;
  LatencyHistogram latency_;
  std::int64_t arrival_ = 0;
  std::uint64_t dropped_on_request_ = 0;
  std::uint64_t seen_datagrams_ = 0;
  std::uint64_t plain_datagrams_ = 0;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t malformed_ = 0;
  std::uint64_t missing_packets_ = 0;
  std::uint32_t last_number_ = 0;
};

}  // namespace sidetap::sensor
