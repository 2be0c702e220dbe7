#include "shared/resident_memory.h"

#include <cstdint>
#include <fstream>
#include <sstream>
#include <string>

#include <malloc.h>
#include <sys/mman.h>

namespace sidetap {

void release_startup_memory() {
  malloc_trim(0);
  // proc(5): range, permissions, offset, device, inode, path.
  std::ifstream maps("/proc/self/maps");
  std::string line;
  while (std::getline(maps, line)) {
    std::istringstream fields(line);
    std::string range, permissions, offset, device, path;
    std::uint64_t inode = 0;
    fields >> range >> permissions >> offset >> device >> inode >> path;
    // Private, read-only and file-backed: the page cache has the same bytes.
    if (permissions.size() != 4 || permissions[1] == 'w' || permissions[3] != 'p') continue;
    if (inode == 0 || path.empty() || path.front() != '/') continue;
    const std::size_t dash = range.find('-');
    const auto begin = std::stoull(range.substr(0, dash), nullptr, 16);
    const auto end = std::stoull(range.substr(dash + 1), nullptr, 16);
    // Relocated constants were written before they became read-only; MADV_DONTNEED would lose them.
    // MADV_PAGEOUT keeps pages that differ from the file (they are dirty) and drops the rest.
    madvise(reinterpret_cast<void*>(begin), end - begin,
            permissions[2] == 'x' ? MADV_DONTNEED : MADV_PAGEOUT);
  }
}

}  // namespace sidetap
