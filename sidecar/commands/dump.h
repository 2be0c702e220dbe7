// `sidetap-sidecar dump`: shows what passes a pod now, beside its running tap.
//
// A second, short-lived capture in the tap's container. It takes no packet from the tap and talks
// to nobody: it opens no port, asks no registry, and looks no name up. It sees every packet of the
// pod, whoever owns it, except for the connections of the pod's taps: those in which packets go to
// sensors, and those with the registry and of the probes. It knows them by the marks of the taps
// (system/port_marks.h), and by the sensors and the registry in the environment where these are
// addresses. It holds a mark too, without a port: then a tap tells of each new connection before it
// uses it, and for the tap's log, another tap runs in the pod.
//
// With --mesh it also shows the plaintext of the pod's service mesh, as an interface of its own:
// the legs on the loopback interface, in the form in which the tap forwards them, and nothing else
// of that interface. They go to whoever may execute commands in the pod, who could read them there
// anyway; so no TLS of the dump's own is asked for.
//
// Its own output leaves through a pipe or into a file, so it is no packet of the pod.
#pragma once

#include <span>

namespace sidetap {

/// Runs the command; `arguments` exclude its name. Exit code: 0 when a bound or a signal ended it,
/// or the reader has gone; 1 if it cannot capture or write, 2 for wrong arguments. Writes what it
/// captures, what is assumed, and a summary to standard error, but nothing once the reader has
/// gone.
int dump_command(std::span<const char* const> arguments);

}  // namespace sidetap
