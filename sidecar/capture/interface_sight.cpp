#include "sidecar/capture/interface_sight.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "sidecar/capture/link_facts.h"

namespace sidetap::capture {
namespace {

InterfaceNow of_flags(unsigned index, unsigned flags) {
  return {.index = index, .up = (flags & IFF_UP) != 0, .carrier = (flags & IFF_RUNNING) != 0};
}

}  // namespace

InterfaceSight::InterfaceSight() : control_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}

InterfaceNow InterfaceSight::look(const std::string& name, unsigned expected) const {
  if (expected != 0) {
    ifreq request{};
    request.ifr_ifindex = static_cast<int>(expected);
    // By index: asked for a name that it does not know, the kernel may look for a module.
    if (ioctl(control_.get(), SIOCGIFNAME, &request) == 0 && name == request.ifr_name &&
        ioctl(control_.get(), SIOCGIFFLAGS, &request) == 0)
      return of_flags(expected, static_cast<unsigned short>(request.ifr_flags));
  }
  const auto facts = read_link_facts(name);
  return facts ? of_flags(static_cast<unsigned>(facts->index), facts->flags) : InterfaceNow{};
}

}  // namespace sidetap::capture
