#include "shared/read_file.h"

#include <cerrno>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"

namespace sidetap {
namespace {

constexpr std::size_t kPiece = 16u << 10;

Error cannot_be(const char* done, const std::string& path) {
  return Error{path + ": cannot be " + done + ": " + std::generic_category().message(errno)};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  const net::UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return cannot_be("opened", path);
  std::string text;
  for (;;) {
    const std::size_t held = text.size();
    text.resize(held + kPiece);
    const ssize_t got = ::read(file.get(), text.data() + held, kPiece);
    if (got < 0 && errno != EINTR) return cannot_be("read", path);
    text.resize(held + static_cast<std::size_t>(got > 0 ? got : 0));
    if (got == 0) return text;
  }
}

Result<std::string> read_value(const std::string& path) {
  auto text = read_file(path);
  while (text && !text->empty() && (text->back() == '\n' || text->back() == '\r')) text->pop_back();
  return text;
}

}  // namespace sidetap
