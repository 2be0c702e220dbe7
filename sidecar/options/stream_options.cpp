#include "sidecar/options/stream_options.h"

#include <string>
#include <utility>
#include <vector>

#include "shared/net/distinct.h"

namespace sidetap {

void declare_streams(config::OptionSet& options, StreamOptions& into) {
  options.add<std::optional<net::HostPort>>(
      {.flag = "--pcap-listen",
       .env = "PCAP_LISTEN",
       .value = "[HOST]:PORT",
       .help = "address where readers of --output pcap-over-ip connect, such as dumpcap -i "
               "TCP@HOST:PORT; default port: 57012 (Arkime's)"},
      config::optional_listen_address(kPcapOverIpPort), into.listen);
  options.add<std::vector<net::HostPort>>(
      {.flag = "--pcap-connect",
       .env = "PCAP_CONNECT",
       .value = "HOST[:PORT],...",
       .help = "receivers that --output pcap-over-ip connects to, at most 10; default port: 57012"},
      config::host_port_list(kPcapOverIpPort, 10), into.receivers);
  options.add<std::vector<net::Cidr>>(
      {.flag = "--pcap-allow",
       .env = "PCAP_ALLOW",
       .value = "CIDR,...",
       .help = "addresses that may connect to --pcap-listen; if unset: all"},
      config::cidr_list(), into.allow);
  options.add<std::uint32_t>(
      {.flag = "--pcap-readers",
       .env = "PCAP_READERS",
       .value = "NUMBER",
       .fallback = "8",
       .help = "maximum number of readers of --pcap-listen at a time; more are refused"},
      config::number<std::uint32_t>(1, 64, "readers"), into.most_readers);
  options.add<std::uint64_t>(
      {.flag = "--pcap-reader-buffer",
       .env = "PCAP_READER_BUFFER",
       .value = "BYTES",
       .fallback = "4M",
       .help = "memory for each reader of --output pcap-over-ip, used when the reader is slow; "
               "what does not fit is dropped for this reader; accepts K, M and G"},
      config::byte_size(512U << 10, 1U << 30), into.reader_buffer);
}

Result<void> check_streams(OutputOptions& output, std::size_t interfaces) {
  StreamOptions& streams = output.streams;
  const bool wanted = output.kind == OutputKind::kPcapOverIp;
  if (!wanted && streams.listen) return Error{"--pcap-listen: needs --output pcap-over-ip"};
  if (!wanted && !streams.receivers.empty())
    return Error{"--pcap-connect: needs --output pcap-over-ip"};
  if (!streams.allow.empty() && !streams.listen) return Error{"--pcap-allow: needs --pcap-listen"};
  if (!wanted) return {};
  if (!streams.listen && streams.receivers.empty())
    return Error{"--output pcap-over-ip: needs --pcap-listen or --pcap-connect"};
  if (streams.listen && interfaces > 1)
    return Error{"--pcap-listen: needs a single interface, but --interface names " +
                 std::to_string(interfaces)};
  streams.receivers = net::distinct(std::move(streams.receivers), net::same_place);
  return {};
}

}  // namespace sidetap
