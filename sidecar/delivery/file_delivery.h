// Delivers packets to capture files.
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
  /// File names start with `prefix`. `loop` must outlive this object.
  FileDelivery(boost::asio::any_io_executor executor, FileOptions options, std::string prefix,
               CaptureLoop& loop);
  ~FileDelivery() override;

  /// Error: the folder cannot be written to.
  Result<void> start() override;
  boost::asio::awaitable<void> stop() override;
  /// Whether the files are open and writable.
  bool forwarding() const override;
  bool healthy() const override;
  void on_forwarding_changed(std::function<void()> callback) override;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sidetap
