"""A server as a process: what it has used, and how it is kept quiet while another is measured."""

import contextlib
import itertools
import os
import pathlib
import signal
import socket
import subprocess
import time

TICKS = os.sysconf("SC_CLK_TCK")


# As in core/src/testing/ports.rs: below the ports of outgoing connections, which a client would take while a server is killed.
FIRST_PORT, PORTS, SECOND_PORT = 15_000, 7_000, 10_000
given = itertools.count(os.getpid() * 131)


def is_free(port: int) -> bool:
    """Whether a server could listen there."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that was free a moment ago, as is the one 10,000 above it: SeaweedFS serves gRPC there."""
    for _ in range(PORTS):
        port = FIRST_PORT + next(given) % PORTS
        if is_free(port) and is_free(port + SECOND_PORT):
            return port
    raise OSError("no port is free")


def listens(port: int) -> bool:
    """Whether anything accepts connections there."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class DidNotStart(Exception):
    """A program ended, or did not listen, before its time was over."""


class Process:
    """A server and its children, in a session of their own."""

    def __init__(self, argv: list[str], port: int, cwd: pathlib.Path, env: dict[str, str] | None = None) -> None:
        self.log = cwd / "server.log"
        self.argv, self.port, self.cwd, self.env = argv, port, cwd, env
        self.start()

    def start(self) -> None:
        """Starts it, over what the one before left, and waits until it listens."""
        with self.log.open("ab") as log:
            self.child = subprocess.Popen(
                self.argv, cwd=self.cwd, env=os.environ | (self.env or {}), stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + 60
        while not listens(self.port):
            if self.child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise DidNotStart(f"{self.argv[0]} does not listen: {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)

    def pids(self) -> list[int]:
        """Its processes: every member of its session."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(OSError):
                    fields = (entry / "stat").read_text().rpartition(")")[2].split()
                    if int(fields[3]) == self.child.pid:
                        found.append(int(entry.name))
        return found

    def _sum(self, file: str, read) -> float:
        total = 0.0
        for pid in self.pids():
            with contextlib.suppress(OSError):
                total += read(pathlib.Path(f"/proc/{pid}/{file}").read_text())
        return total

    def cpu_seconds(self) -> float:
        """User and system time so far."""

        def read(stat: str) -> float:
            fields = stat.rpartition(")")[2].split()
            # Its own and its ended children's.
            return sum(int(fields[at]) for at in (11, 12, 13, 14)) / TICKS

        return self._sum("stat", read)

    def rest(self, patience: float = 60) -> None:
        """Waits until it has done what requests left it to do: until it used no processor for ten seconds, or for `patience` seconds."""
        deadline, quiet = time.monotonic() + patience, 0
        while quiet < 10 and time.monotonic() < deadline:
            before = self.cpu_seconds()
            time.sleep(1)
            quiet = quiet + 1 if self.cpu_seconds() - before < 0.05 else 0

    def _field(self, file: str, name: str) -> float:
        def read(text: str) -> float:
            return sum(float(line.split()[1]) for line in text.splitlines() if line.startswith(name + ":"))

        return self._sum(file, read)

    def peak_memory(self) -> float:
        """MiB of its highest resident sets since `forget_peak`; shared pages count once for each process."""
        return self._field("status", "VmHWM") / 1024

    def memory(self) -> float:
        """MiB resident now."""
        return self._field("status", "VmRSS") / 1024

    def forget_peak(self) -> None:
        """Begins a new peak (proc_pid_clear_refs(5))."""
        for pid in self.pids():
            with contextlib.suppress(OSError):
                pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def bytes_written(self) -> float:
        """Bytes that it caused to be sent to the disk."""
        return self._field("io", "write_bytes")

    def pause(self) -> None:
        """Stops it from using the machine."""
        os.killpg(self.child.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Lets it go on."""
        os.killpg(self.child.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Ends all of it at once, with SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.child.pid, signal.SIGKILL)
        self.child.wait()

    def stop(self) -> None:
        """Ends it and waits for that."""
        with contextlib.suppress(ProcessLookupError):
            self.resume()
            os.killpg(self.child.pid, signal.SIGTERM)
        try:
            self.child.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
