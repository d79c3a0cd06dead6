"""Time and memory of whole processes, and latency of models, all in interleaved runs. For tools/bench."""

import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import onnxruntime

import common

# Resident memory is counted from what the process was before exec(): only a small one may start others.
STARTER = """
import os, sys, time
quiet = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)]
for line in sys.stdin:
    argv = line.rstrip("\\n").split("\\0")
    start = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=quiet)
    _, status, usage = os.wait4(pid, 0)
    print(time.perf_counter() - start, os.waitstatus_to_exitcode(status), usage.ru_maxrss, flush=True)
"""


@dataclass
class Process:
    """Runs of one command."""

    seconds: list[float] = field(default_factory=list)
    peak_mb: float = 0
    failed: bool = False

    @property
    def median(self) -> float:
        return statistics.median(self.seconds) if self.seconds else float("nan")


class Starter:
    """Starts commands from a small process of its own, one at a time."""

    def __init__(self) -> None:
        command = [sys.executable, "-I", "-S", "-c", STARTER]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.floor_mb = self.measure(["true"])[2]  # below that it cannot see

    def measure(self, command: list) -> tuple[float, int, float]:
        """Seconds, exit code, peak resident memory in MB."""
        self.process.stdin.write("\0".join(map(str, command)) + "\n")
        self.process.stdin.flush()
        seconds, status, kilobytes = self.process.stdout.readline().split()
        return float(seconds), int(status), int(kilobytes) * 1024 / 1e6

    def interleave(
        self, commands: dict[str, list], rounds: int, before=lambda: None, slow: tuple = ()
    ) -> dict[str, Process]:
        """Each command once per round; those in `slow` in the first 3 rounds only."""
        runs = {name: Process() for name in commands}
        for number in range(rounds):
            for name, command in commands.items():
                if runs[name].failed or (name in slow and number >= 3):
                    continue
                before()
                seconds, status, peak = self.measure(command)
                runs[name].failed = status != 0
                runs[name].seconds.append(seconds)
                runs[name].peak_mb = max(runs[name].peak_mb, peak)
        return runs

    def show_memory(self, process: Process) -> str:
        if process.peak_mb <= self.floor_mb + 0.5:
            return f"< {self.floor_mb + 0.5:.0f} MB"
        return f"{process.peak_mb:.0f} MB"

    def close(self) -> None:
        self.process.communicate()


def latencies(paths: dict[str, Path], feeds: common.Feeds, seconds: float) -> dict[str, list[float]]:
    """
    Seconds of one run, one figure per round, all models taking turns. Each turn warms up with a run
    that is not counted, and lasts at least 2 ms. Sessions are made anew three times, as their memory
    may lie well or badly.
    """
    times: dict[str, list[float]] = {name: [] for name in paths}
    for attempt in range(3):
        order = list(paths)[attempt % len(paths) :] + list(paths)[: attempt % len(paths)]
        sessions = {name: common.session(paths[name]) for name in order}
        repeats = {name: repeats_for(sessions[name], feeds) for name in order}
        stop, rounds = time.perf_counter() + seconds / 3, 0
        while time.perf_counter() < stop or rounds < 5:
            for name in order:
                times[name].append(time_runs(sessions[name], feeds, repeats[name]))
            order.append(order.pop(0))
            rounds += 1
    return times


def time_runs(session: onnxruntime.InferenceSession, feeds: common.Feeds, repeats: int) -> float:
    session.run(None, feeds)
    start = time.perf_counter()
    for _ in range(repeats):
        session.run(None, feeds)
    return (time.perf_counter() - start) / repeats


def repeats_for(session: onnxruntime.InferenceSession, feeds: common.Feeds) -> int:
    return max(1, round(0.002 / min(time_runs(session, feeds, 1) for _ in range(3))))


def ratios(slow: list[float], fast: list[float]) -> tuple[float, float, float]:
    """Median of the ratios of each round, and the range that the middle half of them is in."""
    values = sorted(a / b for a, b in zip(slow, fast, strict=True))
    return statistics.median(values), values[len(values) // 4], values[-1 - len(values) // 4]


def show_ratio(slow: list[float], fast: list[float]) -> str:
    middle, low, high = ratios(slow, fast)
    return f"{middle:.2f} ({low:.2f}-{high:.2f})"
