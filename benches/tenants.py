#!/usr/bin/env python3
"""What a credential costs a small read, and what a loud tenant costs a quiet one.

The cost is CPU time of the server: natively a GET of 4 KiB with an API key against one on a server that asks for
none; over S3, where everything is signed, a request with a wrong signature against one with none (both are refused,
the one after everything was computed). The quiet tenant has one request under way, the loud one as many as it likes. Slow clients of the loud one are
measured too: 64 that send 1 MiB at 64 KiB/s, again and again, and 40 that send a byte every half second.
"""

import argparse
import contextlib
import json
import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from harness import servers
from harness.load import SCRIPT
from harness.sign import Account, Presigner

BODY = 4096


def arguments() -> argparse.Namespace:
    """How long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--loud", type=int, default=256, help="connections of the loud tenant")
    parser.add_argument("--directory", help="where the stores are")
    return parser.parse_args()


class Guarded(servers.JustStorage):
    """Ours, asking for credentials."""

    settings: dict[str, str] = {}

    def environment(self) -> dict[str, str]:
        return {"JUSTSTORAGE_AUTH": "required"} | self.settings

    def key(self, kind: str, tenant: str) -> dict[str, str]:
        """A new one."""
        argv = [os.path.abspath(self.program), "--json", "key", "create", "--kind", kind, "--tenant", tenant]
        env = os.environ | {"JUSTSTORAGE_DATA_DIR": str(self.directory / "data")}
        return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout)

    def token(self, tenant: str) -> str:
        """Of a new API key."""
        return self.key("api", tenant)["token"]

    def prepare(self) -> None:
        pass


def wrk(host: str, targets: pathlib.Path, method: str, connections: int, seconds: int, token: str | None = None):
    """A generator, begun."""
    body = BODY if method == "PUT" else 0
    headers = ["-H", f"Authorization: Bearer {token}"] if token else []
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", *headers, "-s", SCRIPT, f"http://{host}",
            "--", targets, method, str(body), "1", "1"]
    return subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)


def figures(generator: subprocess.Popen) -> dict:
    """What a generator found."""
    return json.loads(generator.communicate()[0].splitlines()[-1])


def cpu_of(server, targets: pathlib.Path, host: str, seconds: int, token: str | None, refused: bool = False) -> float:
    """Microseconds of the server's CPU time for each request."""
    before = server.process.cpu_seconds()
    done = figures(wrk(host, targets, "GET", 64, seconds, token))
    if bool(done["errors"]) != refused:
        raise RuntimeError(f"{done['errors']} of {done['requests']} failed")
    return (server.process.cpu_seconds() - before) / done["requests"] * 1e6


def cost(args: argparse.Namespace, base: pathlib.Path) -> None:
    """Of a credential, on both fronts."""
    open_to_all, guarded = servers.JustStorage(base / "open"), Guarded(base / "guarded")
    token = guarded.token("acme")
    native, unsigned, wrong = base / "native", base / "unsigned", base / "wrong"
    native.write_text("".join(f"/v1/objects/by-key/n/acme/k{at}\n" for at in range(1000)))
    for server, bearer in ((open_to_all, None), (guarded, token)):
        figures(wrk(server.native, native, "PUT", 16, 3, bearer))
    host = guarded.account.host
    signer = Presigner(Account(host, guarded.key("s3", "acme")["access_key"], "not its secret"))
    targets = [signer.target("GET", f"/bench/k{at}") for at in range(1000)]
    unsigned.write_text("".join(f"/bench/k{at}\n" for at in range(1000)))
    wrong.write_text("".join(target + "\n" for target in targets))
    found = {"native, none asked for": [], "native, API key": [], "S3, none": [], "S3, wrong signature": []}
    for _ in range(args.rounds):
        found["native, none asked for"].append(cpu_of(open_to_all, native, open_to_all.native, args.seconds, None))
        found["native, API key"].append(cpu_of(guarded, native, guarded.native, args.seconds, token))
        found["S3, none"].append(cpu_of(guarded, unsigned, host, args.seconds, None, True))
        found["S3, wrong signature"].append(cpu_of(guarded, wrong, host, args.seconds, None, True))
    for name, times in found.items():
        print(f"{name}: {statistics.median(times):.1f} us of CPU time ({min(times):.1f} to {max(times):.1f})")
    open_to_all.stop()
    guarded.stop()


def neighbours(args: argparse.Namespace, base: pathlib.Path) -> None:
    """A quiet tenant by itself, and beside a loud one, with turns and without."""
    for name, settings in (("turns", {}), ("no turns", {"JUSTSTORAGE_TURNS": "1000000"})):
        Guarded.settings = settings
        server = Guarded(base / name.replace(" ", "-"))
        tokens = {tenant: server.token(tenant) for tenant in ("quiet", "loud")}
        files = {}
        for tenant in tokens:
            files[tenant] = base / f"{name}-{tenant}"
            files[tenant].write_text("".join(f"/v1/objects/by-key/n/{tenant}/k{at}\n" for at in range(1000)))
            figures(wrk(server.native, files[tenant], "PUT", 16, 3, tokens[tenant]))
        for method in ("GET", "PUT"):
            alone, beside = [], []
            for _ in range(args.rounds):
                alone.append(figures(wrk(server.native, files["quiet"], method, 1, args.seconds, tokens["quiet"])))
                loud = wrk(server.native, files["loud"], method, args.loud, args.seconds + 2, tokens["loud"])
                beside.append(figures(wrk(server.native, files["quiet"], method, 1, args.seconds, tokens["quiet"])))
                crowd = figures(loud)
            p99 = [statistics.median(done["p99_ms"] for done in runs) for runs in (alone, beside)]
            p50 = [statistics.median(done["p50_ms"] for done in runs) for runs in (alone, beside)]
            print(f"{name}, {method} 4 KiB: quiet tenant p50 {p50[0]:.1f} -> {p50[1]:.1f} ms, p99 {p99[0]:.1f} -> "
                  f"{p99[1]:.1f} ms (x {p99[1] / p99[0]:.1f}) beside {args.loud} connections of another, "
                  f"which has {crowd['requests'] / crowd['seconds']:,.0f}/s at p99 {crowd['p99_ms']:.1f} ms", flush=True)
        server.stop()


class Slow:
    """Clients that upload `size` bytes in pieces of `piece`, one every `every` seconds, until told to end."""

    def __init__(self, server, token: str, clients: int, piece: int, every: float, size: int = 1 << 20):
        self.address, self.token = server.native.split(":"), token
        self.piece, self.every, self.size = piece, every, size
        self.statuses: list[str] = []
        self.ended = threading.Event()
        self.threads = [threading.Thread(target=self.client, args=(at,), daemon=True) for at in range(clients)]
        for thread in self.threads:
            thread.start()

    def client(self, at: int) -> None:
        """One of them."""
        head = (f"PUT /v1/objects/by-key/n/loud/slow{at} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {self.token}\r\n"
                f"Content-Length: {self.size}\r\nConnection: close\r\n\r\n")
        while not self.ended.is_set():
            with contextlib.suppress(OSError), socket.create_connection((self.address[0], int(self.address[1]))) as link:
                link.sendall(head.encode())
                for _ in range(0, self.size, self.piece):
                    if self.ended.wait(self.every):
                        return
                    link.sendall(b"a" * self.piece)
                self.statuses.append(link.recv(64).split(b" ")[1].decode())

    def end(self) -> list[str]:
        """The statuses that they were answered."""
        self.ended.set()
        for thread in self.threads:
            thread.join()
        return self.statuses


def slow_neighbours(args: argparse.Namespace, base: pathlib.Path) -> None:
    """A quiet tenant's small puts by themselves, and beside slow clients of another."""
    Guarded.settings = {}
    server = Guarded(base / "slow")
    tokens = {tenant: server.token(tenant) for tenant in ("quiet", "loud")}
    targets = base / "slow-quiet"
    targets.write_text("".join(f"/v1/objects/by-key/n/quiet/k{at}\n" for at in range(1000)))

    def quiet() -> dict:
        return figures(wrk(server.native, targets, "PUT", 1, args.seconds, tokens["quiet"]))

    for name, clients, piece, every in (("64 at 64 KiB/s", 64, 8 << 10, 1 / 8), ("40 of a byte each 0.5 s", 40, 1, 0.5)):
        alone, beside, answered = [], [], []
        for _ in range(args.rounds):
            alone.append(quiet())
            slow = Slow(server, tokens["loud"], clients, piece, every)
            time.sleep(1)
            beside.append(quiet())
            answered += slow.end()
        p99 = [statistics.median(done["p99_ms"] for done in runs) for runs in (alone, beside)]
        p50 = [statistics.median(done["p50_ms"] for done in runs) for runs in (alone, beside)]
        refused = [status for status in answered if status != "201"]
        print(f"slow clients, {name}, PUT 4 KiB: quiet tenant p50 {p50[0]:.1f} -> {p50[1]:.1f} ms, p99 {p99[0]:.1f} -> "
              f"{p99[1]:.1f} ms (x {p99[1] / p99[0]:.1f}); {len(answered)} slow uploads ended, {len(refused)} refused",
              flush=True)
    server.stop()


def main() -> int:
    """All."""
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="tenants-", dir=args.directory, ignore_cleanup_errors=True) as directory:
        with contextlib.suppress(KeyboardInterrupt):
            cost(args, pathlib.Path(directory))
            neighbours(args, pathlib.Path(directory))
            slow_neighbours(args, pathlib.Path(directory))
    return 0


if __name__ == "__main__":
    sys.exit(main())
