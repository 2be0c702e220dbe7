// Takes pcapng apart, block by block, so that tests see what was written.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace sidetap::forwarding {

template <typename T>
T number_at(std::span<const std::byte> bytes, std::size_t at) {
  T value{};
  if (at + sizeof value <= bytes.size()) std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

struct WrittenBlock {
  std::uint32_t type = 0;
  std::vector<std::byte> body;
};

/// The blocks of what was written; fails where their lengths do not fit each other.
inline std::vector<WrittenBlock> blocks_of(std::span<const std::byte> bytes) {
  std::vector<WrittenBlock> blocks;
  while (!bytes.empty()) {
    const auto length = number_at<std::uint32_t>(bytes, 4);
    if (length < 12 || length % 4 != 0 || length > bytes.size() ||
        number_at<std::uint32_t>(bytes, length - 4) != length) {
      ADD_FAILURE() << "a block of length " << length << ", " << bytes.size() << " bytes are left";
      break;
    }
    const auto body = bytes.subspan(8, length - 12);
    blocks.push_back({number_at<std::uint32_t>(bytes, 0), {body.begin(), body.end()}});
    bytes = bytes.subspan(length);
  }
  return blocks;
}

/// Options, or the records of a name resolution block, in order.
inline std::vector<std::pair<unsigned, std::string>> options_of(const WrittenBlock& block,
                                                                std::size_t at) {
  std::vector<std::pair<unsigned, std::string>> options;
  while (at + 4 <= block.body.size()) {
    const auto code = number_at<std::uint16_t>(block.body, at);
    const std::size_t size = number_at<std::uint16_t>(block.body, at + 2);
    if (code == 0) return options;
    const auto value = std::span<const std::byte>(block.body).subspan(at + 4, size);
    options.emplace_back(code,
                         std::string(reinterpret_cast<const char*>(value.data()), value.size()));
    at += 4 + (size + 3) / 4 * 4;
  }
  ADD_FAILURE() << "options without an end";
  return options;
}

/// Each block in words, such as "packet of 0" and "0 has 5, dropped 1", by interface.
inline std::vector<std::string> told_by(std::span<const std::byte> bytes) {
  std::vector<std::string> told;
  for (const WrittenBlock& block : blocks_of(bytes)) {
    const std::string first = std::to_string(number_at<std::uint32_t>(block.body, 0));
    switch (block.type) {
      case 0x0a0d0d0a:
        told.emplace_back("section");
        break;
      case 1:
        told.push_back("interface " + options_of(block, 8).front().second);
        break;
      case 4:
        told.push_back("names " + std::to_string(options_of(block, 0).size()));
        break;
      case 5: {
        const auto options = options_of(block, 12);
        const auto count = [&](std::size_t i) {
          return std::to_string(
              number_at<std::uint64_t>(std::as_bytes(std::span(options.at(i).second)), 0));
        };
        told.push_back(first + " has " + count(0) + ", dropped " + count(1));
        break;
      }
      case 6:
        told.push_back("packet of " + first);
        break;
      default:
        told.push_back("block " + std::to_string(block.type));
    }
  }
  return told;
}

}  // namespace sidetap::forwarding
