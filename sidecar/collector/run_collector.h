// The collector: acts as the sensor for many taps, and is a single tap to sensors.
//
//   taps ─RPCAP─→ TapServer, TapSession ─→ TapReceiver (packet thread) ─→ the tap's own path ─→ ...
//
// Two threads. The control thread leads the sessions with taps (TapServer, one coroutine each) and
// those with sensors (Delivery, as in a tap). The packet thread is a tap's CaptureLoop, whose
// device reads from the TapReceiver (make_tap_device()), and whose pipeline owns every packet
// (PipelineConfig::collected). What the control thread asks of the receiver goes through the loop's
// command queue (DataWays).
//
// Once everything is open, both threads give up their capabilities, and all system calls but those
// of a collector (--sandbox). It still accepts, dials, resolves names, and reads certificates and
// Secrets anew.
//
// A session's number is the `origin` of its packets up to the outputs, and TapIdentities says which
// pod it is: as the tap says, since RPCAP has no other word for it. With a registry, a tap is
// admitted only if that has proved its address for this pod (RegistryFeed, TapProof).
//
// The ledger over two hops: what taps forward = packets received + those lost on the way, which are
// among the missing ones (a tap's numbers also count what the tap itself could not send). From
// there on it is the tap's: received less the operator's filter = the ledger's `read`.
//
// A tap sends its packets to the address of its control connection. So taps dial the address of one
// collector (a headless Service), and never one that stands for several.
//
// At its end the collector says so first and goes last. It is not ready from the signal on, so that
// its address leaves the Service, and takes no new taps. Taps that follow the Service's name move
// to another collector while their session here goes on (--drain). Then the rest is stopped, each
// in good order, so that nothing is under way when the collector hands over to the sensors what it
// still has.
#pragma once

#include "sidecar/collector/collect_options.h"

namespace sidetap::collector {

/// Returns the exit code: 0 after SIGTERM or SIGINT, 1 if the collector cannot continue.
int run_collector(CollectOptions options);

}  // namespace sidetap::collector
