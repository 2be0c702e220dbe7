"""Network namespaces without names: held by a file descriptor, gone when the last process that holds them ends.

Nothing of them is visible in /run/netns, so that nothing can be left behind, whatever ends the lab.
"""
import ctypes
import os
import signal
import socket
import subprocess

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result, what):
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def die_with_parent():
    """Asks the kernel to kill the calling process when the one that started it ends."""
    _check(_libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0), "prctl")


class Namespace:
    """One network namespace. Commands, sockets and processes are put into it by its descriptor."""

    def __init__(self, name):
        self.name = name
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            _check(_libc.unshare(CLONE_NEWNET), "unshare")
            self.fd = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            _check(_libc.setns(home, CLONE_NEWNET), "setns")
            os.close(home)

    @property
    def path(self):
        return f"/proc/{os.getpid()}/fd/{self.fd}"

    def enter(self):
        """Moves the calling thread into the namespace for good."""
        _check(_libc.setns(self.fd, CLONE_NEWNET), f"setns {self.name}")

    def __enter__(self):
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.enter()
        return self

    def __exit__(self, *_):
        _check(_libc.setns(self._home, CLONE_NEWNET), "setns")
        os.close(self._home)

    def command(self, argv, confined=()):
        """The command line that runs argv inside, under the caller's pid, killed when the lab ends.

        confined: options of setpriv, see taps.confinement().
        """
        return ["nsenter", f"--net={self.path}", "--", "setpriv", "--pdeathsig", "KILL", *confined, *argv]

    def run(self, *argv, text=None):
        done = subprocess.run(self.command(argv), input=text, text=True, capture_output=True)
        if done.returncode != 0:
            raise RuntimeError(f"{self.name}: {' '.join(argv)}: {done.stderr.strip()}\n{text or ''}")
        return done.stdout

    def popen(self, argv, confined=(), **options):
        # A session of its own: Ctrl-C reaches the lab, which then ends its processes in order.
        return subprocess.Popen(self.command(argv, confined), start_new_session=True, **options)

    def socket(self, *arguments):
        with self:
            return socket.socket(*arguments)

    def ip(self, *lines):
        """Runs many `ip` commands at once."""
        if lines:
            self.run("ip", "-batch", "-", text="\n".join(lines) + "\n")

    def nft(self, rules):
        self.run("nft", "-f", "-", text=rules)

    def sysctl(self, settings):
        """Settings of this namespace only: names with slashes, below /proc/sys/net."""
        with self:
            for name, value in settings.items():
                with open(f"/proc/sys/net/{name}", "w", encoding="ascii") as file:
                    file.write(str(value))

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def why_not():
    """The reason why this process can make no cluster, or an empty string when it can."""
    try:
        probe = Namespace("probe")
    except OSError as error:
        return f"network namespaces cannot be made here ({error})"
    try:
        probe.ip("link add probe0 type bridge", "link add probe1 type veth peer name probe2")
        probe.nft("table ip probe { chain c { type nat hook postrouting priority srcnat; masquerade; }; }")
        probe.nft("table ip6 probe { chain c { type nat hook postrouting priority srcnat; masquerade; }; }")
        with probe:
            # Without it a bridge hides a pod's answer from the NAT that has to translate it back.
            if not os.path.exists("/proc/sys/net/bridge/bridge-nf-call-iptables"):
                return "the kernel has no bridge netfilter (modprobe br_netfilter)"
            if not os.path.exists("/proc/sys/net/ipv6"):
                return "the kernel has no IPv6"
    except (OSError, RuntimeError) as error:
        return f"the kernel lacks what the lab needs ({' '.join(str(error).split())})"
    finally:
        probe.close()
    return ""
