#include "sidecar/capture/capture_file.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <optional>
#include <utility>

#include <pcap/pcap.h>

#include "sidecar/capture/pcap_source.h"
#include "sidecar/capture/pcapng_reader.h"

namespace sidetap::capture {
namespace {

struct Close {
  void operator()(std::FILE* file) const {
    if (file != stdin) std::fclose(file);
  }
  void operator()(pcap_t* handle) const { pcap_close(handle); }
};
using FileHandle = std::unique_ptr<std::FILE, Close>;

/// By libpcap, which owns the file.
class PcapFile final : public CaptureFile {
 public:
  PcapFile(std::unique_ptr<pcap_t, Close> handle, LinkType link)
      : handle_(std::move(handle)), link_(link) {}

  Result<bool> next(FilePacket& packet) override {
    pcap_pkthdr* header = nullptr;
    const u_char* bytes = nullptr;
    const int got = pcap_next_ex(handle_.get(), &header, &bytes);
    if (got == PCAP_ERROR_BREAK) return false;
    if (got != 1) return Error{pcap_geterr(handle_.get())};
    packet.link = link_;
    packet.packet = {};
    packet.packet.bytes = {reinterpret_cast<const std::byte*>(bytes), header->caplen};
    packet.packet.length = header->len < header->caplen ? header->caplen : header->len;
    packet.packet.seconds = static_cast<std::uint32_t>(header->ts.tv_sec);
    packet.packet.nanoseconds = static_cast<std::uint32_t>(header->ts.tv_usec);
    return true;
  }

 private:
  std::unique_ptr<pcap_t, Close> handle_;
  LinkType link_;
};

Result<std::unique_ptr<CaptureFile>> open_pcap(FileHandle file, const std::string& name) {
  char error[PCAP_ERRBUF_SIZE] = "";
  std::unique_ptr<pcap_t, Close> handle(
      pcap_fopen_offline_with_tstamp_precision(file.get(), PCAP_TSTAMP_PRECISION_NANO, error));
  if (!handle) return Error{"cannot read " + name + ": " + error};
  // Closed with the handle, but for standard input.
  static_cast<void>(file.release());
  const auto link = known_link_type(pcap_datalink(handle.get()));
  if (!link)
    return Error{"cannot read " + name + ": link layer " +
                 std::to_string(pcap_datalink(handle.get())) +
                 " is not supported; Ethernet, raw IP and Linux cooked are"};
  return std::unique_ptr<CaptureFile>(std::make_unique<PcapFile>(std::move(handle), *link));
}

}  // namespace

Result<std::unique_ptr<CaptureFile>> open_capture_file(const std::string& path) {
  const std::string name = path == "-" ? "standard input" : path;
  FileHandle file(path == "-" ? stdin : std::fopen(path.c_str(), "rb"));
  if (!file) return Error{"cannot read " + name + ": " + std::strerror(errno)};
  // The first byte tells the two formats apart.
  constexpr int kPcapngFirst = 0x0a;
  const int first = std::getc(file.get());
  std::ungetc(first, file.get());
  if (first != kPcapngFirst) return open_pcap(std::move(file), name);
  auto shared = std::shared_ptr<std::FILE>(std::move(file));
  return std::unique_ptr<CaptureFile>(
      std::make_unique<PcapngReader>([shared](std::span<std::byte> into) {
        return std::fread(into.data(), 1, into.size(), shared.get());
      }));
}

}  // namespace sidetap::capture
