#include "sidecar/capture/ring_source.h"

#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <linux/filter.h>
#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/utsname.h>

#include "shared/net/unique_fd.h"
#include "sidecar/capture/ring.h"

namespace sidetap::capture {
namespace {

// Offsets in an untagged Ethernet frame.
constexpr std::uint32_t kEtherType = 12;
constexpr std::uint32_t kIpv4Protocol = 14 + 9;
constexpr std::uint32_t kIpv6NextHeader = 14 + 6;
// The reader wakes for each block: of small ones it would wake more often than a packet is worth.
constexpr std::size_t kMinBlock = 256U << 10;
constexpr std::size_t kMaxBlock = 1U << 20;
// The kernel takes a new block whenever one has waited for its time, however little is in it. So a
// reader that waits for a CPU has as many times the timeout as there are blocks, until packets
// drop: the ring with few blocks waits longer for each.
constexpr unsigned kFewestBlocks = 4;
constexpr unsigned kSctpBlocks = 8;
constexpr std::size_t kSctpBlock = 128U << 10;
constexpr unsigned kSctpPatience = 4;
constexpr std::chrono::seconds kRest{1};

/// `program` behind a test for SCTP right behind an IP header: what it is, or what it is not.
std::vector<BpfInstruction> split(std::span<const BpfInstruction> program, bool sctp) {
  constexpr auto load_half = static_cast<std::uint16_t>(BPF_LD | BPF_H | BPF_ABS);
  constexpr auto load_byte = static_cast<std::uint16_t>(BPF_LD | BPF_B | BPF_ABS);
  constexpr auto equal = static_cast<std::uint16_t>(BPF_JMP | BPF_JEQ | BPF_K);
  constexpr auto jump = static_cast<std::uint16_t>(BPF_JMP | BPF_JA);
  constexpr auto answer = static_cast<std::uint16_t>(BPF_RET | BPF_K);
  // The last of these refuses the packet, what stands behind it is `program`.
  const std::uint8_t is = sctp ? 1 : 0;
  const std::uint8_t is_not = sctp ? 0 : 1;
  std::vector<BpfInstruction> whole = {
      {load_half, 0, 0, kEtherType},
      {equal, 0, 2, ETH_P_IP},
      {load_byte, 0, 0, kIpv4Protocol},
      {jump, 0, 0, 2},
      {equal, 0, static_cast<std::uint8_t>(2 + is_not), ETH_P_IPV6},
      {load_byte, 0, 0, kIpv6NextHeader},
      {equal, is, is_not, IPPROTO_SCTP},
      {answer, 0, 0, 0},
  };
  whole.insert(whole.end(), program.begin(), program.end());
  return whole;
}

std::uint64_t read_number(const std::string& path) {
  std::uint64_t number = 0;
  std::ifstream(path) >> number;
  return number;
}

/// Packets that the driver had no room for, as the kernel counts them.
class InterfaceDrops {
 public:
  explicit InterfaceDrops(const std::string& name)
      : folder_("/sys/class/net/" + name + "/statistics/"), start_(total()) {}
  std::uint64_t count() const { return total() - start_; }

 private:
  std::uint64_t total() const {
    return read_number(folder_ + "rx_missed_errors") + read_number(folder_ + "rx_fifo_errors");
  }
  std::string folder_;
  std::uint64_t start_;
};

class RingSource final : public PacketSource {
 public:
  RingSource(std::unique_ptr<Ring> main, std::unique_ptr<Ring> sctp, net::UniqueFd ready,
             const DeviceConfig& config, std::size_t block_bytes,
             std::shared_ptr<SpareSockets> spares)
      : main_(std::move(main)),
        sctp_(std::move(sctp)),
        ready_(std::move(ready)),
        drops_(config.interface),
        most_wanted_(std::min<std::size_t>(config.snaplen, kMaxBlock - kBlockOverhead)),
        room_(block_bytes - kBlockOverhead),
        spares_(std::move(spares)) {}
  ~RingSource() override {
    spares_->give_back(main_->give_up_socket());
    spares_->give_back(sctp_->give_up_socket());
  }

  LinkType link_type() const override { return LinkType::kEthernet; }
  int descriptor() const override { return ready_.get(); }

  Result<std::size_t> read(PacketHandler& handler, std::size_t most) override {
    for (Ring* const ring : {main_.get(), sctp_.get()}) {
      if (!ring->is_dozing()) continue;
      if (auto awake = ring->wake(); !awake) return awake.error();
    }
    const std::size_t done = main_->read(handler, most) + sctp_->read(handler, most);
    note_rest(done != 0);
    // What the other end of the link hands over may be longer than this end says.
    if (main_->longest_cut() > longest_) expect(main_->longest_cut());
    if (done != 0) return done;
    if (auto alive = main_->check(); !alive) return alive.error();
    if (auto alive = sctp_->check(); !alive) return alive.error();
    return std::size_t{0};
  }

  bool is_filling() const override { return main_->is_filling(); }

  Result<void> set_filter(std::span<const BpfInstruction> program) override {
    if (auto set = main_->set_filter(split(program, false)); !set) return set;
    return sctp_->set_filter(split(program, true));
  }

  SourceCounts counts() override {
    main_->add_counts(counts_);
    sctp_->add_counts(counts_);
    counts_.dropped_by_interface = drops_.count();
    return counts_;
  }

  int bound_index() const override { return main_->bound_index(); }
  void expect(std::size_t longest) override { longest_ = std::max(longest_, longest); }
  std::size_t outgrown_by() const override {
    return std::min(longest_, most_wanted_) > room_ ? longest_ : 0;
  }

 private:
  using Clock = std::chrono::steady_clock;

  /// Without packets, the rings' pages need not be resident in this process.
  void note_rest(bool busy) {
    if (busy) {
      resting_ = false;
    } else if (!resting_) {
      resting_ = true;
      resting_since_ = Clock::now();
    } else if (Clock::now() - resting_since_ >= kRest) {
      for (Ring* const ring : {main_.get(), sctp_.get()})
        if (ring->is_between_blocks()) ring->doze();
    }
  }

  std::unique_ptr<Ring> main_;
  std::unique_ptr<Ring> sctp_;
  net::UniqueFd ready_;
  bool resting_ = false;
  Clock::time_point resting_since_;
  InterfaceDrops drops_;
  std::size_t most_wanted_;  // bytes of a packet
  std::size_t room_;         // for one
  std::size_t longest_ = 0;  // that there is to be room for
  std::shared_ptr<SpareSockets> spares_;
  SourceCounts counts_;
};

std::size_t block_bytes_for(const DeviceConfig& config, const LinkFacts& facts) {
  const std::size_t longest = std::max<std::size_t>(facts.longest_packet, config.longest_packet);
  return std::clamp(std::bit_ceil(std::min<std::size_t>(longest, config.snaplen) + kBlockOverhead),
                    kMinBlock, kMaxBlock);
}

/// Those of one source, until they are taken: what is left goes back.
struct Sockets {
  explicit Sockets(SpareSockets& from) : spares(from) {}
  ~Sockets() {
    for (net::UniqueFd* left : {&main, &sctp}) spares.give_back(std::move(*left));
  }
  Sockets(const Sockets&) = delete;
  Sockets& operator=(const Sockets&) = delete;

  Result<void> take() {
    for (net::UniqueFd* needed : {&main, &sctp}) {
      auto taken = spares.take();
      if (!taken) return taken.error();
      *needed = std::move(*taken);
    }
    return {};
  }

  SpareSockets& spares;
  net::UniqueFd main;
  net::UniqueFd sctp;
};

Result<net::UniqueFd> make_ready(std::initializer_list<int> descriptors) {
  net::UniqueFd ready(epoll_create1(EPOLL_CLOEXEC));
  for (const int descriptor : descriptors) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(ready.get(), EPOLL_CTL_ADD, descriptor, &event) != 0)
      return Error{std::string("epoll: ") + std::strerror(errno)};
  }
  return ready;
}

}  // namespace

bool ring_is_right_for(const LinkFacts& facts) {
  if (facts.hardware_type != ARPHRD_ETHER) return false;
  utsname system{};
  unsigned major = 0;
  unsigned minor = 0;
  if (uname(&system) != 0 || std::sscanf(system.release, "%u.%u", &major, &minor) != 2)
    return false;
  return major > 6 || (major == 6 && minor >= 2);
}

Result<std::unique_ptr<PacketSource>> open_ring(const DeviceConfig& config, const LinkFacts& facts,
                                                std::shared_ptr<SpareSockets> spares) {
  const std::string name = config.interface;
  const auto failed = [&](const Error& error) {
    return Error{"cannot capture on " + name + ": " + error.text};
  };
  // The loopback interface has headers of Ethernet, with addresses of zero.
  if (facts.hardware_type != ARPHRD_ETHER && facts.hardware_type != ARPHRD_LOOPBACK)
    return failed({"it is not Ethernet"});

  RingConfig ring;
  ring.interface_index = facts.index;
  ring.block_bytes = block_bytes_for(config, facts);
  ring.blocks =
      std::max(static_cast<unsigned>(config.buffer_bytes / ring.block_bytes), kFewestBlocks);
  ring.block_timeout_ms = config.block_timeout_ms;
  Sockets sockets(*spares);
  if (auto taken = sockets.take(); !taken) return failed(taken.error());

  constexpr BpfInstruction kEverything{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = kMaxBlock};
  const auto program =
      config.filter.empty() ? std::span<const BpfInstruction>(&kEverything, 1) : config.filter;
  const auto without_sctp = split(program, false);
  ring.filter = without_sctp;
  auto main = Ring::open(ring, sockets.main);
  if (!main) return failed(main.error());

  const auto only_sctp = split(program, true);
  RingConfig small = ring;
  small.filter = only_sctp;
  small.block_bytes = kSctpBlock;
  small.blocks = kSctpBlocks;
  small.block_timeout_ms = config.block_timeout_ms * kSctpPatience;
  small.offloads = false;
  auto sctp = Ring::open(small, sockets.sctp);
  if (!sctp) {
    sockets.main = (*main)->give_up_socket();
    return failed(sctp.error());
  }

  auto ready = make_ready({(*main)->descriptor(), (*sctp)->descriptor()});
  if (!ready) {
    sockets.main = (*main)->give_up_socket();
    sockets.sctp = (*sctp)->give_up_socket();
    return failed(ready.error());
  }
  return std::unique_ptr<PacketSource>(
      std::make_unique<RingSource>(std::move(*main), std::move(*sctp), std::move(*ready), config,
                                   ring.block_bytes, std::move(spares)));
}

}  // namespace sidetap::capture
