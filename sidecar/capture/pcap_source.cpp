#include "sidecar/capture/pcap_source.h"

#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <pcap/pcap.h>
#include <sys/socket.h>

#include "sidecar/capture/link_facts.h"
#include "sidecar/capture/ring.h"

namespace sidetap::capture {
namespace {

class PcapSource final : public PacketSource {
 public:
  /// `former`: gets the handle back in the end; null: nobody wants it.
  PcapSource(FormerDevice device, LinkType link, std::shared_ptr<FormerDevice> former)
      : handle_(std::move(device.handle)),
        hardware_type_(device.hardware_type),
        link_(link),
        descriptor_(former ? pcap_get_selectable_fd(handle_.get()) : -1),
        former_(std::move(former)) {
    // What a handle that is used again has counted for another source.
    counts();
    counts_ = {};
    accepted_.restart();
    dropped_.restart();
    interface_dropped_.restart();
  }
  ~PcapSource() override {
    if (!former_) return;
    // Until it is used again nothing is to fill its ring.
    constexpr BpfInstruction kNothing{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0};
    if (set_filter({&kNothing, 1})) *former_ = {std::move(handle_), hardware_type_};
  }

  LinkType link_type() const override { return link_; }
  int descriptor() const override { return descriptor_; }

  Result<std::size_t> read(PacketHandler& handler, std::size_t most) override {
    const int got = pcap_dispatch(handle_.get(), static_cast<int>(most), &PcapSource::deliver,
                                  reinterpret_cast<u_char*>(&handler));
    if (got < 0 && got != PCAP_ERROR_BREAK) return Error{pcap_geterr(handle_.get())};
    return static_cast<std::size_t>(got < 0 ? 0 : got);
  }

  Result<void> set_filter(std::span<const BpfInstruction> program) override {
    if (descriptor_ < 0) return {};
    // Straight to the socket: pcap_setfilter() would drop everything for a moment to drain the
    // socket, and what came in that moment would be lost unseen.
    std::vector<sock_filter> instructions;
    instructions.reserve(program.size());
    for (const BpfInstruction& i : program)
      instructions.push_back({.code = i.code, .jt = i.jt, .jf = i.jf, .k = i.k});
    sock_fprog filter{static_cast<unsigned short>(instructions.size()), instructions.data()};
    if (setsockopt(descriptor_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0)
      return Error{std::string("the kernel refuses the capture filter: ") + std::strerror(errno)};
    return {};
  }

  SourceCounts counts() override {
    pcap_stat stat{};
    if (descriptor_ >= 0 && pcap_stats(handle_.get(), &stat) == 0) {
      counts_.accepted = accepted_.update(stat.ps_recv);
      counts_.dropped = dropped_.update(stat.ps_drop);
      counts_.dropped_by_interface = interface_dropped_.update(stat.ps_ifdrop);
    }
    return counts_;
  }

  int bound_index() const override {
    return descriptor_ < 0 ? 0 : capture::bound_index(descriptor_);
  }

 private:
  static void deliver(u_char* user, const pcap_pkthdr* header, const u_char* bytes) {
    CapturedPacket packet;
    packet.bytes = {reinterpret_cast<const std::byte*>(bytes), header->caplen};
    packet.length = header->len < header->caplen ? header->caplen : header->len;
    packet.seconds = static_cast<std::uint32_t>(header->ts.tv_sec);
    packet.nanoseconds = static_cast<std::uint32_t>(header->ts.tv_usec) * 1000;
    reinterpret_cast<PacketHandler*>(user)->on_packet(packet);
  }

  PcapHandle handle_;
  unsigned hardware_type_;
  LinkType link_;
  int descriptor_;
  std::shared_ptr<FormerDevice> former_;
  WideCounter accepted_, dropped_, interface_dropped_;
  SourceCounts counts_;
};

Error device_error(const std::string& name, pcap_t* handle, int status) {
  std::string text = "cannot capture on " + name + ": " + pcap_statustostr(status);
  const std::string detail = pcap_geterr(handle);
  if (!detail.empty() && detail != pcap_statustostr(status)) text += " (" + detail + ")";
  if (status == PCAP_ERROR_PERM_DENIED) text += "; the container needs the capability NET_RAW";
  return Error{std::move(text)};
}

Result<PcapHandle> activate(const DeviceConfig& config) {
  const std::string name = config.interface;
  char error[PCAP_ERRBUF_SIZE] = "";
  PcapHandle handle(pcap_create(name.c_str(), error));
  if (!handle) return Error{"cannot capture on " + name + ": " + error};
  pcap_set_snaplen(handle.get(), static_cast<int>(config.snaplen));
  pcap_set_promisc(handle.get(), 0);
  pcap_set_timeout(handle.get(), static_cast<int>(config.block_timeout_ms));
  if (config.immediate) pcap_set_immediate_mode(handle.get(), 1);
  pcap_set_buffer_size(handle.get(), static_cast<int>(config.buffer_bytes));
  // Positive answers are warnings; what they warn of (no promiscuous mode) is not asked for.
  const int status = pcap_activate(handle.get());
  if (status < 0) return device_error(name, handle.get(), status);
  if (pcap_setnonblock(handle.get(), 1, error) != 0)
    return Error{"cannot capture on " + name + ": " + error};
  return handle;
}

/// Whether the handle captures what passes this interface from now on.
bool bind_again(pcap_t* handle, const LinkFacts& facts) {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = facts.index;
  return bind(pcap_fileno(handle), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
         0;
}

}  // namespace

void PcapCloser::operator()(pcap* handle) const { pcap_close(handle); }

std::optional<LinkType> known_link_type(int datalink) {
  switch (datalink) {
    case DLT_EN10MB:
      return LinkType::kEthernet;
    case DLT_RAW:  // 12 here, LINKTYPE_RAW (101) in files and on the wire
    case 101:
      return LinkType::kRawIp;
    case DLT_LINUX_SLL:
      return LinkType::kLinuxSll;
    case DLT_LINUX_SLL2:
      return LinkType::kLinuxSll2;
    default:
      return std::nullopt;
  }
}

Result<std::unique_ptr<PacketSource>> open_pcap_device(const DeviceConfig& config,
                                                       std::shared_ptr<FormerDevice> former) {
  const std::string name = config.interface;
  const auto facts = read_link_facts(name);  // none of "any"
  FormerDevice device;
  if (former->handle && facts && facts->hardware_type == former->hardware_type &&
      bind_again(former->handle.get(), *facts)) {
    device = std::move(*former);
  } else {
    auto activated = activate(config);
    if (!activated) return activated.error();
    device = {std::move(*activated), facts ? facts->hardware_type : 0};
  }
  const auto link = known_link_type(pcap_datalink(device.handle.get()));
  if (!link)
    return Error{"cannot capture on " + name + ": link layer " +
                 std::to_string(pcap_datalink(device.handle.get())) +
                 " is not supported; Ethernet, raw IP and Linux cooked are"};
  auto source = std::make_unique<PcapSource>(std::move(device), *link, std::move(former));
  constexpr BpfInstruction kEverything{.code = BPF_RET | BPF_K, .jt = 0, .jf = 0, .k = 0xffff'ffff};
  const bool fits = !config.filter.empty() && config.filter_link == *link;
  if (auto set = source->set_filter(fits ? config.filter : std::span(&kEverything, 1)); !set)
    return set.error();
  return std::unique_ptr<PacketSource>(std::move(source));
}

}  // namespace sidetap::capture
