#include "sidecar/commands/explain.h"

#include <cstdio>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <nlohmann/json.hpp>
#include <stdlib.h>
#include <unistd.h>

#include "tests/unit/sidecar_packet/packet_builder.h"

namespace sidetap {
namespace {

using namespace sidetap::test;
using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;

/// A classic pcap file of Ethernet frames, one every 1.5 s, removed with the object.
class PcapFile {
 public:
  explicit PcapFile(const std::vector<Bytes>& frames, std::size_t cut = 0) {
    Bytes out;
    put32(out, 0xa1b2c3d4U);
    put16(out, 2);
    put16(out, 4);
    put32(out, 0);
    put32(out, 0);
    put32(out, 262144);
    put32(out, 1);
    std::uint32_t half_seconds = 0;
    for (const Bytes& frame : frames) {
      put32(out, 1'700'000'000U + half_seconds / 2);
      put32(out, half_seconds % 2 * 500'000U);
      put32(out, static_cast<std::uint32_t>(frame.size()));
      put32(out, static_cast<std::uint32_t>(frame.size()));
      append(out, frame);
      half_seconds += 3;
    }
    out.resize(out.size() - cut);
    char name[] = "/tmp/explain-XXXXXX";
    const int fd = ::mkstemp(name);
    EXPECT_GE(fd, 0);
    EXPECT_EQ(::write(fd, out.data(), out.size()), static_cast<ssize_t>(out.size()));
    ::close(fd);
    path_ = name;
  }
  ~PcapFile() { std::remove(path_.c_str()); }
  PcapFile(const PcapFile&) = delete;
  PcapFile& operator=(const PcapFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

ExplainOptions pod_one(const PcapFile& file) {
  ExplainOptions options;
  options.file = file.path();
  options.ownership.pod_ips = {ip("10.0.0.1"), ip("fd00::1")};
  options.ownership.pod_subnets = {net::Cidr::parse("10.0.0.0/24").value()};
  options.ownership.service_subnets = {net::Cidr::parse("10.96.0.0/12").value()};
  options.ownership.tapped_peers.kind = TappedPeersOption::Kind::kAll;
  return options;
}

std::vector<std::string> lines_of(const ExplainOptions& options) {
  std::ostringstream out;
  EXPECT_TRUE(explain(options, out));
  std::istringstream in(out.str());
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST(Explain, NamesFlowVerdictRuleAndSentenceOfEachPacket) {
  const PcapFile file({packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 443).syn().ethernet(),
                       packet().from("10.0.0.1").to("10.96.0.10").udp(40000, 53).ethernet(),
                       packet().from("fd00::1").to("2001:db8::1").udp(40000, 53).ethernet()});
  const auto lines = lines_of(pod_one(file));
  ASSERT_EQ(lines.size(), 3U + 2U + 3U) << "packets, empty line and total, rules";
  EXPECT_EQ(lines[0],
            "     1     0.000000  owned      tcp-handshake       10.0.0.2:40000 > 10.0.0.1:443 tcp "
            "SYN: SYN or SYN+ACK names the server, which owns the flow");
  EXPECT_THAT(lines[1], HasSubstr("     2     1.500000  not owned  service-view "));
  EXPECT_THAT(lines[1],
              HasSubstr("10.0.0.1:40000 > 10.96.0.10:53 udp: packet with a Service's address"));
  EXPECT_THAT(lines[2], HasSubstr("[fd00::1]:40000 > [2001:db8::1]:53 udp: the peer has no tap"));
  EXPECT_EQ(lines[4], "3 packets: 2 owned, 1 not owned");
  EXPECT_THAT(lines[5], HasSubstr("1  not owned  service-view "));
  EXPECT_THAT(lines[6], HasSubstr("1  owned      peer-untapped "));
  EXPECT_THAT(lines[7], HasSubstr("1  owned      tcp-handshake "));
}

TEST(Explain, JsonHasOneObjectALineAndTheSummaryLast) {
  const PcapFile file({packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).ethernet(),
                       arp(kBroadcastMac, mac(2), ip("10.0.0.2"), ip("10.0.0.1"))});
  ExplainOptions options = pod_one(file);
  options.json = true;
  const auto lines = lines_of(options);
  ASSERT_EQ(lines.size(), 3U);
  const json first = json::parse(lines[0]);
  EXPECT_EQ(first["packet"], 1);
  EXPECT_EQ(first["time"], "1700000000.000000");
  EXPECT_EQ(first["owned"], true);
  EXPECT_EQ(first["rule"], "ephemeral-port");
  EXPECT_EQ(first["source"], "10.0.0.2");
  EXPECT_EQ(first["destination_port"], 53);
  const json second = json::parse(lines[1]);
  EXPECT_EQ(second["flow"], "arp from 10.0.0.2");
  EXPECT_FALSE(second.contains("source"));
  const json summary = json::parse(lines[2])["summary"];
  EXPECT_EQ(summary["packets"], 2);
  EXPECT_EQ(summary["owned"], 1);
  EXPECT_EQ(summary["rules"].size(), 2U);
}

TEST(Explain, SaysWhatTheOperatorsFilterRefuses) {
  const Bytes scrape = packet().from("10.0.0.2").to("10.0.0.1").tcp(40000, 9100).ethernet();
  const PcapFile file({scrape, packet().from("10.0.0.2").to("10.0.0.1").udp(1, 53).ethernet(),
                       packet().from("10.0.0.2").to("10.0.0.1").tcp(1, 9100).vlan().ethernet()});
  ExplainOptions options = pod_one(file);
  options.filter = "not port 9100";
  const auto lines = lines_of(options);
  EXPECT_EQ(
      lines[0],
      "     1     0.000000  filtered   filter              10.0.0.2:40000 > 10.0.0.1:9100 tcp "
      "ACK: the operator's filter refuses it");
  EXPECT_THAT(lines[1], Not(HasSubstr("filter")));
  EXPECT_THAT(lines[2], HasSubstr("filtered")) << "the kernel's filter sees it without its tag";
  EXPECT_THAT(lines[4], HasSubstr("not owned, 2 filtered"));
  EXPECT_THAT(lines[5], HasSubstr("2  filtered   filter "));
  options.json = true;
  const auto objects = lines_of(options);
  const json refused = json::parse(objects[0]);
  EXPECT_EQ(refused["owned"], false);
  EXPECT_EQ(refused["rule"], "filter");
  EXPECT_EQ(json::parse(objects.back())["summary"]["filtered"], 2);
}

TEST(Explain, SaysWhatItAssumesWhereNothingIsConfigured) {
  const PcapFile file({packet().from("10.0.0.1").to("10.96.0.10").udp(40000, 53).ethernet()});
  ExplainOptions options = pod_one(file);
  options.ownership.pod_subnets = {};
  options.ownership.service_subnets = {};
  options.ownership.tapped_peers = {};
  const auto lines = lines_of(options);
  EXPECT_THAT(lines[0], HasSubstr("owned      peer-untapped"));
  ASSERT_EQ(lines.size(), 1U + 2U + 1U + 3U);
  EXPECT_THAT(lines[4], HasSubstr("assumed: any address may be a pod's, since PODNET"));
  EXPECT_THAT(lines[5], HasSubstr("assumed: no address is a Service's unless"));
  EXPECT_THAT(lines[6], HasSubstr("assumed: no peer is tapped, since TAPPED_PEERS names none"));
  options.json = true;
  EXPECT_EQ(json::parse(lines_of(options)[1])["summary"]["assumed"].size(), 3U);
  options.ownership = pod_one(file).ownership;
  EXPECT_EQ(json::parse(lines_of(options)[1])["summary"]["assumed"], json::array());
}

TEST(Explain, ListeningPortsAndEphemeralRangeDecideMidwayFlows) {
  const PcapFile file({packet().from("10.0.0.2").to("10.0.0.1").tcp(80, 50051).ethernet()});
  ExplainOptions options = pod_one(file);
  EXPECT_THAT(lines_of(options)[0], HasSubstr("not owned  tcp-midway"));
  options.listening = {50051};
  EXPECT_THAT(lines_of(options)[0], HasSubstr("owned      tcp-listening"));
}

TEST(Explain, GatewaysAndMacAndBroadcastsAreAsIfTheTapHadReadThem) {
  const PcapFile file({packet().from("10.0.0.254").to("10.0.0.1").udp(1, 53).ethernet(),
                       packet().from("10.0.0.2").to("10.0.0.255").udp(1, 2).ethernet(),
                       packet().from("0.0.0.0").to("255.255.255.255").udp(68, 67).ethernet()});
  ExplainOptions options = pod_one(file);
  options.gateways = {ip("10.0.0.254")};
  options.broadcasts = {ip("10.0.0.255")};
  options.mac = mac(1);
  const auto lines = lines_of(options);
  EXPECT_THAT(lines[0], HasSubstr("owned      peer-untapped"));
  EXPECT_THAT(lines[1], HasSubstr("not owned  group-from-tapped"));
  EXPECT_THAT(lines[2], HasSubstr("owned      group-sent"));
}

TEST(Explain, ACutFileIsReportedAfterWhatCouldBeRead) {
  const Bytes frame = packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).ethernet();
  const PcapFile file({frame, frame}, 10);
  std::ostringstream out;
  const auto done = explain(pod_one(file), out);
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().text, HasSubstr("up to packet 1"));
  EXPECT_THAT(out.str(), HasSubstr("ephemeral-port"));
  EXPECT_THAT(out.str(), HasSubstr("1 packets: 1 owned, 0 not owned\n")) << "and summed up";
}

int command(std::vector<const char*> arguments) {
  return explain_command(std::span<const char* const>(arguments));
}

TEST(Explain, WrongUseIsTwoAndHelpIsZero) {
  const PcapFile file({});
  EXPECT_EQ(command({"--help"}), 0);
  EXPECT_EQ(command({"--pod-ips", "10.0.0.1"}), 2) << "no file";
  EXPECT_EQ(command({"--pcap", file.path().c_str()}), 2) << "no pod";
  EXPECT_EQ(command({"--pcap", file.path().c_str(), "--pod-ips", "10.0.0.1", "--mac", "2:0"}), 2);
  EXPECT_EQ(
      command({"--pcap", file.path().c_str(), "--pod-ips", "10.0.0.1", "--ephemeral-ports", "9-8"}),
      2);
  EXPECT_EQ(
      command({"--pcap", file.path().c_str(), "--pod-ips", "10.0.0.1", "--mac", "02:42:0a:f4:01:05",
               "--ephemeral-ports", "1024-65535", "--listening", "80,443"}),
      0);
  EXPECT_EQ(command({"--pcap", "/proc/self/status", "--pod-ips", "10.0.0.1"}), 1) << "no capture";
}

TEST(Explain, TellsWhichPacketsOfTheLoopbackAreLegsOfAMesh) {
  const auto leg = [](std::uint16_t port) {
    return packet().from("127.0.0.6").to("10.0.0.1").tcp(port, 8080);
  };
  const auto with_text = [](Bytes frame, std::string_view text) {
    for (const char c : text) frame.push_back(static_cast<std::byte>(c));
    frame[17] = static_cast<std::byte>(frame.size() - 14);
    return frame;
  };
  const PcapFile file(
      {leg(40000).syn().ethernet(), with_text(leg(40000).ethernet(), "GET / HTTP/1.1\r\n\r\n"),
       leg(40001).syn().ethernet(),
       with_text(leg(40001).ethernet(), "GET / HTTP/1.1\r\nUser-Agent: kube-probe/1.31\r\n\r\n"),
       packet().from("127.0.0.1").to("127.0.0.1").tcp(40002, 15000).syn().ethernet()});
  ExplainOptions options = pod_one(file);
  options.loopback = true;
  options.listening = {8080};
  const auto lines = lines_of(options);
  ASSERT_GE(lines.size(), 7U);
  for (const std::size_t i : {0U, 1U}) EXPECT_THAT(lines[i], HasSubstr("owned      mesh-leg"));
  for (const std::size_t i : {2U, 3U, 4U}) EXPECT_THAT(lines[i], HasSubstr("not owned  loopback"));
  EXPECT_EQ(lines[6], "5 packets: 2 owned, 3 not owned");
  EXPECT_THAT(lines.back(), HasSubstr("assumed: "));
}

TEST(Explain, OfAMeshReadsItsFileTwice) {
  EXPECT_EQ(command({"--pcap", "-", "--pod-ips", "10.0.0.1", "--mesh"}), 2);
}

/// Puts a file in the place of standard input, and takes it away again.
class StandardInput {
 public:
  explicit StandardInput(const std::string& path) : saved_(::dup(STDIN_FILENO)) {
    EXPECT_NE(std::freopen(path.c_str(), "rb", stdin), nullptr);
  }
  ~StandardInput() {
    std::rewind(stdin);
    ::dup2(saved_, STDIN_FILENO);
    ::close(saved_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

 private:
  int saved_;
};

TEST(Explain, ReadsStandardInput) {
  const PcapFile file({packet().from("10.0.0.2").to("10.0.0.1").udp(40000, 53).ethernet()});
  const StandardInput input(file.path());
  testing::internal::CaptureStdout();
  EXPECT_EQ(command({"--pcap", "-", "--pod-ips", "10.0.0.1"}), 0);
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("1 packets: "));
}

}  // namespace
}  // namespace sidetap
