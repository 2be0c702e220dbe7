#include "sidecar/system/memory_limit.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <string_view>

namespace sidetap {
namespace {

// What version 1 says where there is no limit is more than any machine has.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

void lower(std::optional<std::uint64_t>& limit, const std::string& file) {
  std::string text;
  std::ifstream(file) >> text;
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), bytes);
  if (error != std::errc() || end != text.data() + text.size() || bytes >= kNoLimit) return;
  limit = limit ? std::min(*limit, bytes) : bytes;
}

bool names_memory(std::string_view controllers) {
  while (!controllers.empty()) {
    const std::size_t comma = std::min(controllers.find(','), controllers.size());
    if (controllers.substr(0, comma) == "memory") return true;
    controllers.remove_prefix(std::min(comma + 1, controllers.size()));
  }
  return false;
}

}  // namespace

std::optional<std::uint64_t> memory_limit(const std::string& root) {
  std::optional<std::uint64_t> limit;
  std::ifstream groups(root + "/proc/self/cgroup");
  // "0::/path" of version 2, "4:cpu,memory:/path" of version 1.
  for (std::string line; std::getline(groups, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string_view controllers(line.data() + first + 1, second - first - 1);
    const bool v2 = controllers.empty();
    if (!v2 && !names_memory(controllers)) continue;
    const std::string mount = root + (v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    const std::string name = v2 ? "/memory.max" : "/memory.limit_in_bytes";
    std::string path = line.substr(second + 1);
    if (!path.starts_with('/')) continue;
    // In a container the path is that on the host, or "/", and the mount is the group itself.
    lower(limit, mount + name);
    while (path.size() > 1) {
      lower(limit, mount + path + name);
      path.resize(path.rfind('/'));
    }
  }
  return limit;
}

}  // namespace sidetap
