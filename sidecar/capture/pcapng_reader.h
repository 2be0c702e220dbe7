// Reads pcapng (draft-ietf-opsawg-pcapng). Supports both byte orders, several sections, and
// interfaces with their own link layer, snapshot length and time resolution.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "sidecar/capture/capture_file.h"

namespace sidetap::capture {

/// Fills the span from the input. Returns the number of bytes read, which is smaller only at the
/// end.
using ReadBytes = std::function<std::size_t(std::span<std::byte> into)>;

class PcapngReader final : public CaptureFile {
 public:
  explicit PcapngReader(ReadBytes input) : input_(std::move(input)) {}

  Result<bool> next(FilePacket& packet) override;
  /// Packets of interfaces whose link layer the parser does not know.
  std::string left_out() const override;

 private:
  struct Interface {
    std::uint16_t link = 0;
    std::uint32_t snaplen = 0;  ///< 0: none.
    std::uint64_t ticks_a_second = 1'000'000;
    std::int64_t offset = 0;  ///< Seconds.
  };
  /// A packet as its block says.
  struct Record {
    std::uint32_t interface = 0;
    std::uint64_t ticks = 0;
    std::uint32_t captured = 0;
    std::uint32_t length = 0;
    std::size_t data_at = 0;  ///< In the block's body.
  };

  /// False: the end.
  Result<bool> read_block();
  Result<void> read_section(std::uint32_t length_as_read);
  Result<void> read_body(std::uint32_t length);
  Result<void> add_interface();
  void read_option(std::uint16_t code, std::span<const std::byte> value, Interface& into) const;
  /// Nothing to do: false.
  bool read_record(Record& record) const;
  Result<bool> deliver(const Record& record, FilePacket& packet);

  std::uint64_t number(std::span<const std::byte> bytes) const;
  std::uint32_t word(std::size_t at) const {
    return static_cast<std::uint32_t>(number(part(at, 4)));
  }
  std::uint16_t half(std::size_t at) const {
    return static_cast<std::uint16_t>(number(part(at, 2)));
  }
  std::span<const std::byte> part(std::size_t at, std::size_t size) const {
    return std::span<const std::byte>(body_).subspan(at, size);
  }

  ReadBytes input_;
  bool begun_ = false;
  bool little_ = true;
  std::uint32_t type_ = 0;
  std::vector<std::byte> body_;
  std::vector<Interface> interfaces_;
  std::uint64_t left_out_ = 0;
  std::uint16_t unknown_link_ = 0;
};

}  // namespace sidetap::capture
