// A classic BPF program of the tree as libpcap's own type, without a copy.
#pragma once

#include <cstddef>
#include <span>

#include <pcap/pcap.h>

#include "shared/rpcap/messages.h"

namespace sidetap::tap {

static_assert(sizeof(rpcap::BpfInstruction) == sizeof(bpf_insn));
static_assert(offsetof(rpcap::BpfInstruction, code) == offsetof(bpf_insn, code));
static_assert(offsetof(rpcap::BpfInstruction, jt) == offsetof(bpf_insn, jt));
static_assert(offsetof(rpcap::BpfInstruction, jf) == offsetof(bpf_insn, jf));
static_assert(offsetof(rpcap::BpfInstruction, k) == offsetof(bpf_insn, k));

/// Valid as long as `program`.
inline const bpf_insn* as_libpcap(std::span<const rpcap::BpfInstruction> program) {
  return reinterpret_cast<const bpf_insn*>(program.data());
}

}  // namespace sidetap::tap
