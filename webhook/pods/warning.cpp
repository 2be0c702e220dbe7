#include "webhook/pods/warning.h"

#include "shared/net/text.h"

namespace sidetap::pods {
namespace {

constexpr std::size_t kMaxQuoted = 24;

/// The byte position after `limit` characters.
std::size_t cut_at(std::string_view text, std::size_t limit) {
  std::size_t characters = 0;
  for (std::size_t i = 0; i < text.size(); ++i)
    if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80 && ++characters > limit) return i;
  return text.size();
}

}  // namespace

std::string shortened(std::string_view text, std::size_t limit) {
  if (cut_at(text, limit) == text.size()) return std::string(text);
  return std::string(text.substr(0, cut_at(text, limit - 3))) + "...";
}

std::string warning(std::string_view text) {
  return net::without_controls(shortened(std::string(kWarningPrefix).append(text), kMaxWarning),
                               '?');
}

std::string in_quotes(std::string_view value) { return '"' + shortened(value, kMaxQuoted) + '"'; }

}  // namespace sidetap::pods
