"""What a process used, from the operating system: CPU to the nanosecond, memory to the page."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from bench.load import SERVER_CORE, Target

PAGE = os.sysconf("SC_PAGE_SIZE")
TICKS = os.sysconf("SC_CLK_TCK")
SCHED_CLOCK = 2
"""CPUCLOCK_SCHED of Linux, include/linux/posix-timers.h: user and system time of all threads."""


def cpu_seconds(pid: int) -> float:
    """What clock_getcpuclockid() would name: the CPU clock of another process."""
    return time.clock_gettime_ns((~pid << 3) | SCHED_CLOCK) / 1e9


def resident_bytes(pids: Iterable[int]) -> int:
    return sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE for pid in pids)


def tree(pid: int) -> list[int]:
    """A process and its children, and theirs."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(grandchild for child in children for grandchild in tree(int(child)))]


def busy_seconds(core: int) -> float:
    """How long a core has worked for anybody, neighbours of a virtual machine too. Source: proc(5), /proc/stat."""
    line = next(line for line in Path("/proc/stat").read_text().splitlines() if line.startswith(f"cpu{core} "))
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, line.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS


@dataclass
class Marks:
    """The server's clocks at each phase of the load client, by its name."""

    target: Target
    cpu: dict[str, float] = field(default_factory=dict)
    beside: dict[str, dict[str, float]] = field(default_factory=dict)
    resident: dict[str, int] = field(default_factory=dict)
    busy: dict[str, float] = field(default_factory=dict)
    at: dict[str, float] = field(default_factory=dict)

    def mark(self, phase: str) -> None:
        self.at[phase], self.busy[phase] = time.monotonic(), busy_seconds(SERVER_CORE)
        self.cpu[phase] = sum(map(cpu_seconds, self.target.pids))
        self.beside[phase] = {name: sum(map(cpu_seconds, tree(pid))) for name, pid in self.target.beside}
        self.resident[phase] = resident_bytes(self.target.pids)

    def cpu_between(self, start: str, end: str) -> float:
        return self.cpu[end] - self.cpu[start]

    def others_between(self, start: str, end: str) -> float:
        """The share of the server's core that somebody else used meanwhile, from 0 to 1."""
        busy = self.busy[end] - self.busy[start] - self.cpu_between(start, end)
        return max(0.0, busy / (self.at[end] - self.at[start]))

    def beside_between(self, start: str, end: str) -> dict[str, float]:
        return {name: self.beside[end][name] - self.beside[start][name] for name in self.beside[end]}


def wait_until_quiet(target: Target, *, seconds: float = 20.0) -> None:
    """Wait until the server used less than 2 % of a core for a fifth of a second."""
    deadline, before = time.monotonic() + seconds, -1.0
    while time.monotonic() < deadline:
        used = sum(map(cpu_seconds, target.pids))
        if 0 <= used - before < 0.004:
            return
        before = used
        time.sleep(0.2)
