// What a tap gives up once its interfaces are open, and when.
#pragma once

#include <cstddef>
#include <span>

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
  /// System calls of all threads, once every interface is open and its thread has given up its
  /// rights. Says in the log which interface it waits for. This object outlives the answers of
  /// `loops`.
  void enter(std::span<CaptureLoop* const> loops);

 private:
  void close() const;

  bool wanted_;
  bool writes_;
  bool entered_ = false;
  std::size_t unsettled_ = 0;  // loops
};

}  // namespace sidetap
