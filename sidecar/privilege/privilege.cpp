#include "sidecar/privilege/privilege.h"

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>

#include <asm/termbits.h>
#include <cap-ng.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>

namespace sidetap::privilege {
namespace {

/// Calls that are harmless with any arguments. Given by name, because not every architecture has
/// all of them.
constexpr const char* kAllowed[] = {
    // Waiting.
    "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2", "poll", "ppoll",
    "select", "pselect6", "eventfd2", "timerfd_create", "timerfd_settime", "timerfd_gettime",
    // Bytes in and out.
    "read", "readv", "pread64", "write", "writev", "sendto", "sendmsg", "sendmmsg", "recvfrom",
    "recvmsg", "recvmmsg",
    // Sockets. The rules below restrict which can be created.
    "connect", "bind", "listen", "accept", "accept4", "getsockopt", "setsockopt", "getsockname",
    "getpeername", "shutdown",
    // Files. The rules below restrict which can be opened.
    "fstat", "newfstatat", "stat", "lstat", "statx", "statfs", "fstatfs", "lseek", "_llseek",
    "close", "fcntl", "dup", "getdents64", "readlink", "readlinkat", "access", "faccessat",
    "faccessat2", "fadvise64",
    // Memory.
    "munmap", "mremap", "brk", "madvise",
    // Threads and signals.
    "futex", "set_robust_list", "rseq", "sched_yield", "sched_getaffinity", "exit", "exit_group",
    "tgkill", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "rt_sigtimedwait", "sigaltstack",
    "restart_syscall", "membarrier",
    // Time.
    "clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time",
    // Information.
    "getrandom", "getpid", "gettid", "getuid", "geteuid", "getgid", "getegid", "uname", "sysinfo",
    "getcpu", "getrusage"};

constexpr const char* kWriting[] = {"open",      "openat", "creat",    "rename",    "renameat",
                                    "renameat2", "unlink", "unlinkat", "ftruncate", "fsync",
                                    "fdatasync", "mkdir",  "mkdirat"};

Error failed(const std::string& what, int code) {
  return {what + ": " + std::strerror(code < 0 ? -code : code)};
}

struct FilterDeleter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

/// Collects rules, and remembers the first that was refused.
class Rules {
 public:
  Rules() : filter_(seccomp_init(SCMP_ACT_ERRNO(EPERM))) {}

  void allow(const char* name) { add(SCMP_ACT_ALLOW, name, nullptr); }
  void allow(const char* name, scmp_arg_cmp condition) { add(SCMP_ACT_ALLOW, name, &condition); }
  void answer(const char* name, unsigned code) { add(SCMP_ACT_ERRNO(code), name, nullptr); }

  Result<void> load() {
    if (!filter_) return Error{"seccomp: no memory for the filter"};
    if (error_) return failed("seccomp: rule for " + refused_, error_);
    if (const int code = seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_TSYNC, 1); code != 0)
      return failed("seccomp: covering all threads", code);
    // Packets need few calls each, but there are many packets: use a tree instead of a list.
    if (const int code = seccomp_attr_set(filter_.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2); code != 0)
      return failed("seccomp: ordering the filter", code);
    if (const int code = seccomp_load(filter_.get()); code != 0)
      return failed("seccomp: loading the filter", code);
    return {};
  }

 private:
  void add(std::uint32_t action, const char* name, const scmp_arg_cmp* condition) {
    if (!filter_ || error_) return;
    const int number = seccomp_syscall_resolve_name(name);
    if (number < 0) return;  // unknown here: refused, like every call that is not listed
    error_ = seccomp_rule_add_array(filter_.get(), action, number, condition ? 1 : 0, condition);
    if (error_) refused_ = name;
  }

  std::unique_ptr<void, FilterDeleter> filter_;
  int error_ = 0;
  std::string refused_;
};

scmp_arg_cmp masked(unsigned argument, std::uint64_t mask, std::uint64_t value) {
  return {argument, SCMP_CMP_MASKED_EQ, mask, value};
}

/// For an int argument: the kernel uses only the lower half.
scmp_arg_cmp equal(unsigned argument, std::uint64_t value) {
  return masked(argument, 0xffffffffULL, value);
}

}  // namespace

Result<void> drop_capabilities() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return failed("no_new_privs", errno);
  if (capng_get_caps_process() != 0) return Error{"capabilities: cannot be read"};
  const bool bounds = capng_have_capability(CAPNG_EFFECTIVE, CAP_SETPCAP) != 0;
  const capng_select_t which = bounds ? CAPNG_SELECT_BOTH : CAPNG_SELECT_CAPS;
  capng_clear(which);
  if (const int code = capng_apply(which); code != 0)
    return Error{"capabilities: cannot be dropped (libcap-ng " + std::to_string(code) + ")"};
  return {};
}

Result<void> enter_sandbox(bool may_write_files, bool may_watch_files) {
  Rules rules;
  for (const char* name : kAllowed) rules.allow(name);

  for (const int family : {AF_INET, AF_INET6, AF_UNIX, AF_NETLINK})
    rules.allow("socket", equal(0, static_cast<std::uint64_t>(family)));
  // Neither TIOCSTI nor changes to interfaces.
  for (const unsigned long request :
       {static_cast<unsigned long>(FIONBIO), static_cast<unsigned long>(FIONREAD),
        static_cast<unsigned long>(TCGETS), static_cast<unsigned long>(SIOCOUTQ),
        static_cast<unsigned long>(SIOCGIFNAME), static_cast<unsigned long>(SIOCGIFINDEX),
        static_cast<unsigned long>(SIOCGIFFLAGS), static_cast<unsigned long>(SIOCGIFADDR),
        static_cast<unsigned long>(SIOCGIFNETMASK), static_cast<unsigned long>(SIOCGIFMTU),
        static_cast<unsigned long>(SIOCGIFHWADDR)})
    rules.allow("ioctl", equal(1, request));

  // No executable memory beyond that from the program's start.
  rules.allow("mmap", masked(2, PROT_EXEC, 0));
  rules.allow("mprotect", masked(2, PROT_EXEC, 0));

  // Threads but no processes. A filter cannot see the arguments of clone3; if that seems not to
  // exist, the C library uses clone.
  rules.allow("clone", masked(0, CLONE_THREAD, CLONE_THREAD));
  rules.answer("clone3", ENOSYS);

  // Limits can be read but not set.
  rules.allow("prlimit64", {2, SCMP_CMP_EQ, 0, 0});

  if (may_write_files) {
    for (const char* name : kWriting) rules.allow(name);
  } else {
    constexpr std::uint64_t kChanging = O_ACCMODE | O_CREAT | O_TRUNC;
    rules.allow("open", masked(1, kChanging, O_RDONLY));
    rules.allow("openat", masked(2, kChanging, O_RDONLY));
  }
  // Its descriptor exists already.
  if (may_watch_files) rules.allow("inotify_add_watch");
  return rules.load();
}

}  // namespace sidetap::privilege
