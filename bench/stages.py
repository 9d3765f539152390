"""stages.py - where the processor time of the WAL path goes, by what perf sees."""
import re
import subprocess

ROW = re.compile(r"\s*([\d.]+)%\s+(\S+)\s+(\S+)\s+\[(.)\]\s+(\S+)")
FRONTS = ("sh", "cpam-wal-push", "cpam-wal-fetch")
STAGES = (
    ("compression", r"liblz4", r""),
    ("sealing, digests, TLS", r"libcrypto|libssl", r""),
    ("copies between files, sockets and memory", r"kernel", r"copy"),
    ("the rest of the kernel: files, pages, sockets", r"kernel", r""),
    ("HTTP", r"libcurl", r""),
    ("CPAM itself and libc", r"", r""),
)


def stages(record):
    """Parts of 1 by stage."""
    out = subprocess.run(["perf", "report", "-i", record, "--stdio", "--sort", "comm,dso,symbol"],
                         capture_output=True, text=True, check=True).stdout
    parts = {"a call: shell, program, question": 0.0, **{name: 0.0 for name, _, _ in STAGES}}
    for row in filter(None, map(ROW.match, out.splitlines())):
        part, comm, dso, symbol = float(row[1]), row[2], row[3], row[5]
        if comm.startswith(("bench_caller", "perf", "setpriv", "swapper")):
            continue
        if comm in FRONTS:
            parts["a call: shell, program, question"] += part
            continue
        for name, where, what in STAGES:
            if re.search(where, dso) and re.search(what, symbol):
                parts[name] += part
                break
    whole = sum(parts.values())
    return {name: part / whole for name, part in parts.items()}


def show(columns):
    """columns: {title: (processor ms a segment, parts)}"""
    print("| ms of processor time a segment | " + " | ".join(columns) + " |")
    print("|---" * (1 + len(columns)) + "|")
    for name in next(iter(columns.values()))[1]:
        print(f"| {name} | " + " | ".join(f"{ms * parts[name]:.1f}" for ms, parts in columns.values())
              + " |")
    print("| all | " + " | ".join(f"{ms:.1f}" for ms, _ in columns.values()) + " |\n", flush=True)
