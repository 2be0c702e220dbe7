"""A control group with a memory limit, of version 2 or 1, for the processes that are started in it."""
import os
import time


class NoGroup(Exception):
    """None can be made here."""


def _v1_folder():
    """The memory controller's hierarchy, at this process's own group where that is mounted."""
    with open("/proc/self/mountinfo", encoding="ascii") as mounts:
        for line in mounts:
            before, after = line.rstrip().split(" - ", 1)
            kind, _, options = after.split(" ", 2)
            if kind != "cgroup" or "memory" not in options.split(","):
                continue
            mount = before.split()[4]
            with open("/proc/self/cgroup", encoding="ascii") as groups:
                for group in groups:
                    _, controllers, path = group.rstrip("\n").split(":", 2)
                    if "memory" in controllers.split(",") and os.path.isdir(mount + path):
                        return mount + path
            return mount
    return None


class MemoryGroup:
    def __init__(self, name, limit):
        root = "/sys/fs/cgroup"
        try:
            if os.path.exists(f"{root}/cgroup.controllers"):
                with open(f"{root}/cgroup.subtree_control", "w", encoding="ascii") as file:
                    file.write("+memory")
                self.folder, limit_file, self._peak, self._events = f"{root}/{name}", "memory.max", "memory.peak", "memory.events"
            elif (above := _v1_folder()) is not None:
                self.folder, limit_file = f"{above}/{name}", "memory.limit_in_bytes"
                self._peak, self._events = "memory.max_usage_in_bytes", "memory.oom_control"
            else:
                raise NoGroup("no memory controller is mounted")
            os.mkdir(self.folder)
            with open(os.path.join(self.folder, limit_file), "w", encoding="ascii") as file:
                file.write(str(limit))
        except OSError as reason:
            raise NoGroup(f"no control group can be made: {reason}") from reason

    def command(self, argv):
        """`argv`, run inside."""
        return ["/bin/sh", "-c", 'echo $$ >"$0/cgroup.procs" && exec "$@"', self.folder, *argv]

    def _read(self, name):
        with open(os.path.join(self.folder, name), encoding="ascii") as file:
            return file.read()

    def peak(self):
        return int(self._read(self._peak))

    def kills(self):
        return sum(int(line.split()[1]) for line in self._read(self._events).splitlines() if line.startswith("oom_kill "))

    def remove(self):
        for _ in range(100):
            try:
                os.rmdir(self.folder)
                return
            except OSError:
                time.sleep(0.05)
