"""measure.py - what a run of commands cost: calls, wall, processor time and memory of the whole tree.

The calls are made by bench/caller.c, which is cheap enough to measure milliseconds; the limits by
bench/limit.c, which does nothing but compress, seal and the way back.
"""
import ctypes
import os
import shutil
import statistics
import subprocess
import sys
import time

from harness import workspace

BUILD = os.environ["CPAM_BUILD_ROOT"]


class Run:
    """One run: calls (ms each), wall and processor seconds, resident bytes of all processes together."""

    def __init__(self, calls, wall, user, system, resident):
        self.calls, self.wall, self.user, self.system = calls, wall, user, system
        self.cpu, self.resident = user + system, resident


class Sum:
    """Several runs of one thing: medians, and all calls together."""

    def __init__(self, runs):
        self.calls = sorted(call for run in runs for call in run.calls)
        self.count = len(runs[0].calls)
        self.wall, self.cpu, self.user, self.system = (
            statistics.median(getattr(run, what) for run in runs)
            for what in ("wall", "cpu", "user", "system"))
        self.resident = max(run.resident for run in runs)

    def rate(self):
        return self.count / self.wall

    def cpu_ms(self):
        return 1000 * self.cpu / self.count

    def part(self, of):
        return self.calls[min(len(self.calls) - 1, int(len(self.calls) * of))]


_tools = {}


def tool(name):
    """A program of bench/, where PostgreSQL's user can call it."""
    if name not in _tools:
        import atexit

        folder = workspace.make()
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _tools[name] = shutil.copy(os.path.join(BUILD, "bench", "bench_" + name), folder)
    return _tools[name]


def crc32c():
    """A CRC-32C of bytes that is fast: libcpam's."""
    function = ctypes.CDLL(os.path.join(BUILD, "bench", "libbench_crc32c.so")).bench_crc32c
    function.argtypes, function.restype = (ctypes.c_char_p, ctypes.c_size_t), ctypes.c_uint32
    return lambda body: function(body, len(body))


def call(kind, data, command, names, warm=1, replay=0, record=None):
    """The commands called one at a time; `warm` of them before anything counts.  record: where perf
    writes what it sees."""
    line = [tool("caller"), kind, data, str(warm), str(replay), command, *names]
    if record:  # root sees the kernel's part as well
        line = ["perf", "record", "-q", "-F", "1999", "-o", record, "--", "setpriv", "--reuid=postgres",
                "--regid=postgres", "--init-groups", *line]
    done = workspace.run(line, timeout=3600, root=record is not None)
    *calls, last = done.stdout.split("\n")[:-1]
    wall, user, system, resident, failures = last.split()
    if failures != "0":
        print(f"{failures} calls failed: {done.stderr.splitlines()}", file=sys.stderr, flush=True)
    return Run([float(each) for each in calls], float(wall), float(user), float(system), int(resident))


def limit(codec, paths):
    """Processor seconds of compression and encryption alone: (there, back)."""
    out = subprocess.run([os.path.join(BUILD, "bench", "bench_limit"), codec, "1", *paths], check=True,
                         capture_output=True, text=True)
    there, back = map(float, out.stdout.split())
    return there, back


def writing(folder):
    """Milliseconds of processor time to write a segment into a new file, the last 16 of which stay."""
    data, before = os.urandom(1 << 20), time.process_time()
    for number in range(64):
        with open(f"{folder}/written.{number}", "wb", buffering=0) as out:
            for _ in range(16):
                out.write(data)
        if number >= 16:
            os.unlink(f"{folder}/written.{number - 16}")
    took = time.process_time() - before
    for number in range(48, 64):
        os.unlink(f"{folder}/written.{number}")
    return 1000 * took / 64


def alternate(rounds, contenders, job):
    """job(contender) in turns; sums by name, the first round dropped."""
    runs = {one.name: [] for one in contenders}
    for number in range(rounds):
        for one in contenders:
            result = job(one)
            if number > 0 or rounds == 1:
                runs[one.name].append(result)
    return {name: Sum(each) for name, each in runs.items()}
