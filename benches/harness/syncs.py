"""What a server makes durable before it answers: the system calls that wait for the disk, counted by strace."""

import collections
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from .servers import BUCKET, Server
from .sign import Client

# Calls that return when bytes are on the disk.
CALLS = ("fsync", "fdatasync", "syncfs", "sync_file_range", "msync")

# Puts that are counted, one after the other: none shares its syncs with another.
PUTS = 20


def possible() -> bool:
    """Whether strace is there."""
    return shutil.which("strace") is not None


def of_puts(server: Server) -> str:
    """What it waits for in a put of 4 KiB, as a short text."""
    trace = server.directory / "strace"
    client, body = Client(server.account), os.urandom(4096)
    try:
        # Once before, so that what is made at the first put does not count.
        client.call("PUT", f"/{BUCKET}/syncs/first", body=body)
        # openat with O_SYNC or O_DSYNC makes each write a sync.
        calls = ",".join((*CALLS, "openat"))
        attached = [word for pid in server.process.pids() for word in ("-p", str(pid))]
        tracer = subprocess.Popen(
            ["strace", "-f", "-qq", "-e", f"trace={calls}", "-o", trace, *attached],
            stderr=subprocess.PIPE, text=True,
        )
    except OSError as error:
        return f"not counted ({error})"
    if not _attached(server, tracer):
        return f"not counted ({(tracer.communicate()[1] or 'strace ended').strip()[:80]})"
    try:
        for at in range(PUTS):
            client.call("PUT", f"/{BUCKET}/syncs/{at}", body=os.urandom(4096))
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait()
    return _counted(trace)


def _attached(server: Server, tracer: subprocess.Popen) -> bool:
    """Waits until every thread of the server has a tracer."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and tracer.poll() is None:
        if all(_traced(pid) for pid in server.process.pids()):
            return True
        time.sleep(0.05)
    tracer.poll() is None and tracer.kill()
    return False


def _traced(pid: int) -> bool:
    """Whether all threads of a process are traced."""
    try:
        states = [task / "status" for task in pathlib.Path(f"/proc/{pid}/task").iterdir()]
        return all(re.search(r"^TracerPid:\t[1-9]", state.read_text(), re.MULTILINE) for state in states)
    except OSError:
        return True


def _counted(trace: pathlib.Path) -> str:
    """Calls for each put, the most frequent first."""
    counts: collections.Counter[str] = collections.Counter()
    for line in trace.read_text(errors="replace").splitlines():
        call = re.match(r"\d+\s+(?:<\.\.\. )?(\w+)", line)
        # A call that another thread interrupts has two lines; the second one says `resumed`.
        if not call or "resumed>" in line:
            continue
        if call[1] in CALLS:
            counts[call[1]] += 1
        elif call[1] == "openat" and re.search(r"O_D?SYNC", line):
            counts["open with O_SYNC"] += 1
    if not counts:
        return "nothing"
    return ", ".join(f"{count / PUTS:.1f} {name}" for name, count in counts.most_common())
