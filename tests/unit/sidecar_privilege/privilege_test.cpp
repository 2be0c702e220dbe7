// Checks each claim in its own child process, because dropped privileges do not come back.
#include "sidecar/privilege/privilege.h"

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <functional>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sidetap::privilege {
namespace {

/// The exit status of a child process: 0 if `claim` holds.
bool in_child(const std::function<bool()>& claim) {
  const pid_t child = fork();
  if (child == 0) _exit(claim() ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

bool sandboxed(const std::function<bool()>& claim, bool may_write_files = false) {
  return in_child([&] { return enter_sandbox(may_write_files).has_value() && claim(); });
}

bool refused(long result) { return result == -1 && errno == EPERM; }

std::string status_line(const std::string& name) {
  std::ifstream status("/proc/thread-self/status");
  std::string line;
  while (std::getline(status, line))
    if (line.starts_with(name + ":")) return line.substr(line.find_last_of(" \t") + 1);
  return {};
}

bool has_right(unsigned capability) {
  return (std::stoull(status_line("CapEff"), nullptr, 16) >> capability & 1U) != 0;
}
constexpr unsigned kSetpcap = 8;
constexpr unsigned kNetRaw = 13;

bool is_raw_socket_refused() { return refused(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP)); }

TEST(Privilege, CapabilitiesAreGone) {
  const bool bounds = has_right(kSetpcap);
  EXPECT_TRUE(in_child([&] {
    if (!drop_capabilities()) return false;
    const std::string none(16, '0');
    return status_line("CapEff") == none && status_line("CapPrm") == none &&
           status_line("CapInh") == none && status_line("CapAmb") == none &&
           (!bounds || status_line("CapBnd") == none) && status_line("NoNewPrivs") == "1";
  }));
}

TEST(Privilege, DroppingTwiceIsNoFault) {
  EXPECT_TRUE(in_child([] { return drop_capabilities() && drop_capabilities(); }));
}

TEST(Privilege, RawSocketsAreRefusedAfterDropping) {
  if (!has_right(kNetRaw)) GTEST_SKIP() << "needs NET_RAW to lose it";
  EXPECT_TRUE(in_child([] { return !is_raw_socket_refused(); }));
  EXPECT_TRUE(in_child([] {
    return drop_capabilities() && is_raw_socket_refused() &&
           refused(socket(AF_PACKET, SOCK_RAW, 0));
  }));
}

TEST(Privilege, ThreadsStartedLaterInheritTheLoss) {
  EXPECT_TRUE(in_child([] {
    if (!drop_capabilities()) return false;
    bool lost = false;
    std::thread([&] { lost = is_raw_socket_refused(); }).join();
    return lost;
  }));
}

TEST(Sandbox, PacketSocketsAreRefusedWhateverTheRights) {
  EXPECT_TRUE(sandboxed([] { return refused(socket(AF_PACKET, SOCK_RAW, 0)); }));
}

TEST(Sandbox, WorksWithoutCapabilities) {
  EXPECT_TRUE(in_child([] { return drop_capabilities() && enter_sandbox(false); }));
}

TEST(Sandbox, ProgramsAndProcessesAreRefused) {
  EXPECT_TRUE(sandboxed([] { return refused(execl("/bin/true", "true", nullptr)); }));
  EXPECT_TRUE(sandboxed([] {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    return refused(child);
  }));
}

TEST(Sandbox, NewCodeIsRefused) {
  EXPECT_TRUE(sandboxed([] {
    void* code = mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code != MAP_FAILED || errno != EPERM) return false;
    void* data = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return data != MAP_FAILED && refused(mprotect(data, 4096, PROT_READ | PROT_EXEC));
  }));
}

TEST(Sandbox, PtraceMountAndSetuidAreRefused) {
  EXPECT_TRUE(sandboxed([] { return refused(ptrace(PTRACE_TRACEME, 0, nullptr, nullptr)); }));
  EXPECT_TRUE(sandboxed([] { return refused(mount("none", "/tmp", "tmpfs", 0, nullptr)); }));
  // To the user it is already, which nothing but the sandbox refuses.
  EXPECT_TRUE(sandboxed([] { return refused(setuid(getuid())); }));
}

TEST(Sandbox, FilesAreOpenedForReadingOnly) {
  EXPECT_TRUE(sandboxed([] {
    const int file = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    return file >= 0 && refused(open("/dev/null", O_WRONLY | O_CLOEXEC)) &&
           refused(open("/dev/null", O_RDWR | O_CLOEXEC)) &&
           refused(open("/dev/null", O_RDONLY | O_TRUNC | O_CLOEXEC));
  }));
}

TEST(Sandbox, FilesAreWrittenWhereThatIsAllowed) {
  EXPECT_TRUE(sandboxed([] { return open("/dev/null", O_WRONLY | O_CLOEXEC) >= 0; }, true));
}

TEST(Sandbox, FoldersAreWatchedWhereThatIsAllowed) {
  for (const bool allowed : {false, true}) {
    EXPECT_TRUE(in_child([allowed] {
      const int watch = inotify_init1(IN_CLOEXEC);
      if (watch < 0 || !enter_sandbox(false, allowed)) return false;
      return (inotify_add_watch(watch, "/", IN_CREATE) >= 0) == allowed;
    })) << allowed;
  }
}

TEST(Sandbox, ThreadsThatExistAreCovered) {
  EXPECT_TRUE(in_child([] {
    std::atomic<bool> entered{false};
    std::atomic<bool> covered{false};
    std::thread before([&] {
      entered.wait(false);
      covered = refused(setuid(getuid()));
    });
    const bool loaded = enter_sandbox(false).has_value();
    entered = true;
    entered.notify_all();
    before.join();
    return loaded && covered;
  }));
}

TEST(Sandbox, NewThreadsWork) {
  EXPECT_TRUE(sandboxed([] {
    std::atomic<int> ran{0};
    std::thread one([&] { ++ran; });
    std::thread two([&] { ++ran; });
    one.join();
    two.join();
    return ran == 2;
  }));
}

TEST(Sandbox, NamesAreResolved) {
  EXPECT_TRUE(sandboxed([] {
    addrinfo* found = nullptr;
    const bool ok = getaddrinfo("localhost", "2003", nullptr, &found) == 0 && found;
    if (found) freeaddrinfo(found);
    return ok;
  }));
}

TEST(Sandbox, BatchesOfDatagramsAreSent) {
  EXPECT_TRUE(sandboxed([] {
    const int receiver = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* raw = reinterpret_cast<sockaddr*>(&address);
    if (bind(receiver, raw, length) != 0 || getsockname(receiver, raw, &length) != 0) return false;
    const int sender = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (connect(sender, raw, length) != 0) return false;
    char text[] = "packet";
    iovec part{text, sizeof text};
    mmsghdr messages[2]{};
    for (mmsghdr& message : messages) {
      message.msg_hdr.msg_iov = &part;
      message.msg_hdr.msg_iovlen = 1;
    }
    char got[sizeof text]{};
    return sendmmsg(sender, messages, 2, 0) == 2 &&
           recv(receiver, got, sizeof got, 0) == ssize_t{sizeof text} &&
           std::strcmp(got, text) == 0;
  }));
}

}  // namespace
}  // namespace sidetap::privilege
