// Packets into capture files.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/any_io_executor.hpp>

#include "sidecar/delivery/delivery.h"
#include "sidecar/delivery/output_options.h"
#include "sidecar/path/capture_loop.h"

namespace sidetap {

class FileDelivery final : public Delivery {
 public:
  /// Files are called by `prefix`. `loop` outlives this object.
  FileDelivery(boost::asio::any_io_executor executor, FileOptions options, std::string prefix,
               CaptureLoop& loop);
  ~FileDelivery() override;

  /// Error: the folder cannot be written to.
  Result<void> start() override;
  boost::asio::awaitable<void> stop() override;
  /// They are open, and can be written.
  bool forwarding() const override;
  bool healthy() const override;
  void on_forwarding_changed(std::function<void()> callback) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
