#include "sidecar/system/port_marks.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include <arpa/inet.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "shared/net/text.h"

namespace sidetap {
namespace {

constexpr const char* kList = "/proc/net/packet";
// Protocol of a socket that marks nothing yet. Such a socket receives no packets.
constexpr std::uint16_t kIdle = 0;
// Protocol of a socket that no longer marks a port, because older kernels cannot return to 0:
// ETH_P_802_3. No frame on the loopback interface has it, and no connection has such a port.
constexpr std::uint16_t kFree = 1;

/// Removes and returns the next word of the line.
std::string_view next_word(std::string_view& line) {
  line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
  const std::size_t end = std::min(line.find(' '), line.size());
  const std::string_view word = line.substr(0, end);
  line.remove_prefix(end);
  return word;
}

template <typename T>
bool read_number(std::string_view word, T& into, int base = 10) {
  const auto number = net::whole_number<T>(word, base);
  into = number.value_or(into);
  return number.has_value();
}

void take_nothing(int socket) {
  sock_filter nothing{BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program{1, &nothing};
  ::setsockopt(socket, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}

}  // namespace

// sk RefCnt Type Proto Iface R Rmem User Inode, of which Proto is hexadecimal.
std::vector<PacketSocket> parse_packet_sockets(std::string_view text) {
  std::vector<PacketSocket> sockets;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    next_word(line);
    next_word(line);
    PacketSocket socket;
    bool good = read_number(next_word(line), socket.type) &&
                read_number(next_word(line), socket.protocol, 16) &&
                read_number(next_word(line), socket.interface);
    for (int skipped = 0; skipped < 3; ++skipped) next_word(line);
    good = good && read_number(next_word(line), socket.inode);
    if (good) sockets.push_back(socket);
  }
  return sockets;
}

PortMarks::PortMarks(std::size_t sockets) : loopback_(::if_nametoindex("lo")) {
  if (loopback_ == 0) return;
  while (sockets_.size() < sockets) {
    Mark mark;
    mark.socket.reset(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!mark.socket) return;
    take_nothing(mark.socket.get());
    struct stat facts {};
    if (::fstat(mark.socket.get(), &facts) != 0 || !show(mark, kIdle)) return;
    mark.inode = facts.st_ino;
    sockets_.push_back(std::move(mark));
  }
}

bool PortMarks::show(Mark& mark, std::uint16_t port) const {
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(port);
  address.sll_ifindex = static_cast<int>(loopback_);
  return ::bind(mark.socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) ==
         0;
}

bool PortMarks::set(const std::string& owner, std::vector<std::uint16_t> ports) {
  if (ports.empty()) {
    used_.erase(owner);
  } else {
    used_[owner] = std::move(ports);
  }
  std::vector<std::uint16_t> missing;
  for (const auto& [name, list] : used_) missing.insert(missing.end(), list.begin(), list.end());
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  for (Mark& mark : sockets_) {
    if (mark.port == 0) continue;
    if (const auto found = std::find(missing.begin(), missing.end(), mark.port);
        found != missing.end()) {
      missing.erase(found);
    } else if (show(mark, kFree)) {
      mark.port = 0;
    }
  }
  for (Mark& mark : sockets_) {
    if (missing.empty()) break;
    if (mark.port != 0 || !show(mark, missing.back())) continue;
    mark.port = missing.back();
    missing.pop_back();
  }
  return missing.empty();
}

Result<PortMarks::Others> PortMarks::others() const {
  std::ifstream file(kList);
  if (!file) return Error{std::string(kList) + " cannot be read"};
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  Others others;
  for (const PacketSocket& socket : parse_packet_sockets(text)) {
    if (socket.type != SOCK_DGRAM || socket.interface != loopback_) continue;
    const bool mine = std::any_of(sockets_.begin(), sockets_.end(),
                                  [&](const Mark& mark) { return mark.inode == socket.inode; });
    if (mine) continue;
    others.present = true;
    if (socket.protocol != kFree && socket.protocol != kIdle)
      others.ports.push_back(socket.protocol);
  }
  std::sort(others.ports.begin(), others.ports.end());
  others.ports.erase(std::unique(others.ports.begin(), others.ports.end()), others.ports.end());
  return others;
}

}  // namespace sidetap
