#include "sidecar/system/memory_limit.h"

#include <algorithm>
#include <fstream>
#include <string_view>

#include "shared/net/text.h"
#include "shared/read_file.h"

namespace sidetap {
namespace {

// What version 1 says where there is no limit is more than any machine has.
constexpr std::uint64_t kNoLimit = std::uint64_t{1} << 60;

void lower(std::optional<std::uint64_t>& limit, const std::string& file) {
  const auto text = read_file(file);
  if (!text) return;
  const std::string_view word = net::trimmed(*text);
  const auto bytes = net::whole_number<std::uint64_t>(word.substr(0, word.find_first_of(" \n")));
  if (bytes && *bytes < kNoLimit) limit = std::min(limit.value_or(kNoLimit), *bytes);
}

bool names_memory(std::string_view controllers) {
  for (const std::string_view controller : net::Items(controllers))
    if (controller == "memory") return true;
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
