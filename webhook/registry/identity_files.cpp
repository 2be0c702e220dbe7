#include "webhook/registry/identity_files.h"

#include <cerrno>
#include <cstdio>
#include <string_view>
#include <system_error>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/net/unique_fd.h"
#include "webhook/identity/identity_text.h"

namespace sidetap::webhook::registry {
namespace {

Error file_fault(const std::string& file) {
  const std::string reason = std::generic_category().message(errno);
  return Error{file + ": " + reason};
}

/// Writes all of it. errno says why it failed.
bool write_whole(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

Result<void> replace_file(const std::string& folder, const std::string& name,
                          const std::string& text) {
  constexpr mode_t kMode = S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH;
  const std::string beside = folder + "/." + name + ".new";
  const std::string file = folder + "/" + name;
  const net::UniqueFd out(
      ::open(beside.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, kMode));
  if (!out) return file_fault(beside);
  // Whatever the umask is.
  if (::fchmod(out.get(), kMode) != 0 || !write_whole(out.get(), text) ||
      ::rename(beside.c_str(), file.c_str()) != 0) {
    const Error fault = file_fault(file);
    ::unlink(beside.c_str());
    return fault;
  }
  return {};
}

Result<void> write_identity_files(const std::string& folder,
                                  const std::vector<identity::Tenure>& tenures) {
  if (auto lines = replace_file(folder, kIdentityLines, identity::json_lines(tenures)); !lines)
    return lines;
  return replace_file(folder, kIdentityTable, identity::zeek_table(tenures));
}

}  // namespace sidetap::webhook::registry
