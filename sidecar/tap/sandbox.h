// What a tap gives up once its interfaces are open, and when.
#pragma once

#include <vector>

#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// Control thread, but for drop_rights().
class Sandbox {
 public:
  /// Not `wanted`: nothing is given up.
  Sandbox(bool wanted, bool may_write_files) : wanted_(wanted), writes_(may_write_files) {}

  /// Capabilities of the calling thread and of those that it starts later: each has its own. A
  /// capture thread keeps them until its interface is open for the first time; opening it again
  /// needs none (capture/device.h).
  void drop_rights() const;
  /// From now on nothing is to be opened any more but interfaces: gives up system calls of all
  /// threads as soon as every interface is open and its thread has given up its rights. Says in the
  /// log which interface it waits for. `loops` live as long as this object.
  void enter_once_open(std::vector<CaptureLoop*> loops);
  /// To be called whenever an interface may have been opened.
  void reconsider();

 private:
  void close() const;

  bool wanted_;
  bool writes_;
  std::vector<CaptureLoop*> loops_;
  bool entered_ = false;
};

}  // namespace sidetap
