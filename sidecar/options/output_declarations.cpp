#include "sidecar/options/output_declarations.h"

#include "sidecar/options/option_parsers.h"

namespace sidetap {

void declare_vni(config::OptionSet& options, forwarding::VniRule& into) {
  options.add<std::uint32_t>(
      {.flag = "--vxlan-vni",
       .env = "VXLAN_VNI",
       .value = "NUMBER",
       .fallback = "0",
       .help = "network identifier (VNI) in the VXLAN header; with --vxlan-vni-by-namespace on, "
               "the VNI of packets whose namespace is not known"},
      config::number<std::uint32_t>(0, forwarding::kMostVni, ""), into.otherwise);
  options.add<bool>({.flag = "--vxlan-vni-by-namespace",
                     .env = "VXLAN_VNI_BY_NAMESPACE",
                     .value = "on|off",
                     .fallback = "off",
                     .help = "on: the packets of each namespace have a VNI of their own, as "
                             "--vxlan-vnis says, or computed from the name (FNV-1a, 4096 and "
                             "higher), which gives the same VNI in every tap and collector"},
                    config::on_off(), into.by_namespace);
  options.add<forwarding::VniByNamespace>(
      {.flag = "--vxlan-vnis",
       .env = "VXLAN_VNIS",
       .value = "NAMESPACE=NUMBER,...",
       .help = "VNIs of namespaces, for --vxlan-vni-by-namespace on"},
      vni_list(), into.configured);
}

void declare_output_interface(config::OptionSet& options, InterfaceOptions& into) {
  options.add<std::string>({.flag = "--output-interface",
                            .env = "OUTPUT_INTERFACE",
                            .value = "NAME",
                            .help = "interface that --output interface writes to: a veth whose "
                                    "other end the sensor listens on, or a dummy; it is Ethernet, "
                                    "has no addresses, and has an MTU for the longest packet"},
                           interface_name(), into.name);
}

}  // namespace sidetap
