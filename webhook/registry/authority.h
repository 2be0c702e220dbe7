// Which CA bundle taps are told: never one that does not verify the certificate that the registry
// shows. A tap that believed it could not connect again, and not hear the correction either.
#pragma once

#include <memory>
#include <string>

#include "shared/http/tls_context.h"

namespace sidetap::webhook::registry {

/// One thread.
class Authority {
 public:
  using Shown = std::shared_ptr<const http::TlsContext>;

  /// Wanted from now on, PEM. Takes effect with review().
  void set(std::string bundle);
  /// To be called after set(), and whenever the certificate may have changed. True: text() is
  /// another one now. A bundle that cannot be told is logged once.
  bool review(const Shown& shown);

  /// The message to tell; null: none. The bundle that was set last, or while that does not verify
  /// the certificate the one before it that does.
  const std::shared_ptr<const std::string>& text() const { return text_; }

 private:
  std::string wanted_;
  std::string told_;  // what text_ says
  std::shared_ptr<const std::string> text_;
  Shown shown_;
  bool reviewed_ = false;
};

}  // namespace sidetap::webhook::registry
