// Drops the privileges of a tap or a collector once its interfaces are open.
#pragma once

#include <vector>

#include "sidecar/path/capture_loop.h"

namespace sidetap {

/// Use it on the control thread, except for drop_rights().
class Sandbox {
 public:
  /// If not `wanted`, no privileges are dropped. See privilege::enter_sandbox().
  Sandbox(bool wanted, bool may_write_files, bool may_watch_files = false)
      : wanted_(wanted), writes_(may_write_files), watches_(may_watch_files) {}

  /// Drops the capabilities of the calling thread, and so of threads that it starts later: each
  /// thread has its own. A capture thread keeps them until its interface is open for the first
  /// time. Reopening it needs none (capture/device.h).
  void drop_rights() const;
  /// Call it when nothing but interfaces remains to be opened. Restricts the system calls of all
  /// threads as soon as every interface is open and its thread has dropped its rights. Logs which
  /// interface it waits for. `loops` must outlive this object.
  void enter_once_open(std::vector<CaptureLoop*> loops);
  /// Call it whenever an interface may have been opened.
  void reconsider();

 private:
  void close() const;

  bool wanted_;
  bool writes_;
  bool watches_;
  std::vector<CaptureLoop*> loops_;
  bool entered_ = false;
};

}  // namespace sidetap
