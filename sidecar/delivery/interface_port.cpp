#include "sidecar/delivery/interface_port.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <linux/if_packet.h>
#include <net/if_arp.h>
#include <sys/socket.h>

#include "sidecar/capture/interface_sight.h"
#include "sidecar/capture/link_facts.h"

namespace sidetap {
namespace {

class SystemPort final : public forwarding::InterfacePort {
 public:
  SystemPort(std::string name, net::UniqueFd socket)
      : name_(std::move(name)), socket_(std::move(socket)) {}

  State look(unsigned expected) override {
    const capture::InterfaceNow now = sight_.look(name_, expected);
    return {.index = now.index, .working = now.up && now.carrier};
  }

  Result<void> attach(unsigned index) override {
    const auto facts = capture::read_link_facts(name_);
    if (!facts) return facts.error();
    if (static_cast<unsigned>(facts->index) != index)
      return Error{name_ + ": is another interface now"};
    if (facts->hardware_type != ARPHRD_ETHER) return Error{name_ + ": is not Ethernet"};
    // What goes past the queue is not seen by one who listens on this end. Where there is another
    // end, it saves a queue, and the device itself says what it does not take. Refused: it is done
    // without.
    const int past_the_queue = facts->leads_to_another ? 1 : 0;
    setsockopt(socket_.get(), SOL_PACKET, PACKET_QDISC_BYPASS, &past_the_queue,
               sizeof past_the_queue);
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_ifindex = facts->index;  // and no protocol: nothing is captured
    if (bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
      return Error{name_ + ": bind: " + std::strerror(errno)};
    return {};
  }

  int descriptor() const override { return socket_.get(); }

 private:
  std::string name_;
  net::UniqueFd socket_;
  capture::InterfaceSight sight_;
};

}  // namespace

std::unique_ptr<forwarding::InterfacePort> make_interface_port(std::string name,
                                                               net::UniqueFd socket) {
  return std::make_unique<SystemPort>(std::move(name), std::move(socket));
}

}  // namespace sidetap
