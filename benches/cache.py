#!/usr/bin/env python3
"""What a cold tier in an object store costs, and what its read cache is worth: against a cold tier in a directory and the object
store itself.

SeaweedFS is the object store (`weed`, which `scripts/prepare clients` installs). Both of ours run on one machine with it, and what is
compared is measured in turns, so that the machine's other work falls on both. It asserts nothing: timings are no tests. It takes 6 GiB
of the disk for a while.

    cargo build --release --locked && python3 benches/cache.py
    python3 benches/cache.py --only large multipart
"""

import argparse
import asyncio
import collections
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request

from harness import load, peers, servers
from harness.servers import BUCKET
from harness.sign import Client, Presigner

KIB, MIB = 1 << 10, 1 << 20
COLD = {"x-amz-storage-class": "STANDARD_IA"}
PREFIX = "cold"


def arguments() -> argparse.Namespace:
    """How long."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--readers", type=int, default=1000, help="downloads, and uploads, at a time whose memory is measured")
    parser.add_argument("--only", nargs="+", choices=["small", "miss", "large", "multipart", "memory", "hits"], help="a part of it")
    parser.add_argument("--directory", help="where the stores are")
    parser.add_argument("--json", default="target/cache.json")
    return parser.parse_args()


class Remote(servers.JustStorage):
    """Ours, its cold tier in a bucket of a peer."""

    peer: peers.Seaweed
    cache = "10GiB"

    def environment(self) -> dict[str, str]:
        account = self.peer.account
        return {
            "JUSTSTORAGE_COLD_URL": f"s3://{BUCKET}/{PREFIX}",
            "JUSTSTORAGE_COLD_AWS_ENDPOINT": f"http://{account.host}",
            "JUSTSTORAGE_COLD_AWS_ACCESS_KEY_ID": account.access_key,
            "JUSTSTORAGE_COLD_AWS_SECRET_ACCESS_KEY": account.secret_key,
            "JUSTSTORAGE_CACHE_BYTES": self.cache,
        }

    def metric(self, name: str, label: str = "") -> float:
        """Summed over labels."""
        text = urllib.request.urlopen(f"http://{self.native}/metrics").read().decode()
        rows = re.findall(rf"^{name}(\{{[^}}]*\}})? (\S+)$", text, re.M)
        return sum(float(value) for labels, value in rows if label in labels)

    def restart(self, cold: bool) -> None:
        """Ends it with -9 and starts it again, without its cache if `cold`."""
        self.process.child.kill()
        self.process.child.wait()
        if cold:
            shutil.rmtree(self.directory / "data/cache")
        self.process, self.account = self.start()


def put(server, key: str, body: bytes) -> None:
    """A cold object."""
    Client(server.account).call("PUT", f"/{BUCKET}/{key}", body=body, headers=COLD)


def ratio(name: str, ours: list[float], other: list[float], unit: str, target: str) -> dict:
    """One row: medians, and the median of the ratios of each round."""
    row = {
        "workload": name, "unit": unit, "ours": statistics.median(ours), "other": statistics.median(other),
        "ratio": statistics.median(a / b for a, b in zip(ours, other)), "target": target,
    }
    print(f"{name}: {row['ours']:.1f} against {row['other']:.1f} {unit}, {row['ratio']:.2f} x (target {target})", flush=True)
    return row


def small(args, remote, local) -> list[dict]:
    """GET of 4 KiB from the cache, and of a directory."""
    keys = [f"small/{at}" for at in range(2000)]
    for server in (remote, local):
        filler = os.urandom(4 * KIB - 8)
        client = Client(server.account)
        for at, key in enumerate(keys):
            client.call("PUT", f"/{BUCKET}/{key}", body=at.to_bytes(8, "big") + filler, headers=COLD)
    files = {}
    for server in (remote, local):
        signer = Presigner(server.account)
        files[server] = server.directory / "targets"
        random.Random(1).shuffle(keys)
        files[server].write_text("".join(signer.target("GET", f"/{BUCKET}/{key}") + "\n" for key in keys))
        load.wrk(server.account.host, files[server], "GET", 0, 16, 2, True)
    rates, cpu = collections.defaultdict(list), collections.defaultdict(list)
    for _ in range(args.rounds):
        for server in (remote, local):
            before = server.process.cpu_seconds()
            done = load.wrk(server.account.host, files[server], "GET", 0, 64, args.seconds, True)
            rates[server].append(done.requests / done.seconds)
            cpu[server].append((server.process.cpu_seconds() - before) * 1e6 / done.requests)
    return [
        ratio("GET 4 KiB from the cache, 64 connections", rates[remote], rates[local], "op/s", ">= 0.9"),
        ratio("CPU of the server for each, from the cache", cpu[remote], cpu[local], "us", ""),
    ]


def miss(remote) -> list[dict]:
    """One GET of 4 KiB after the other: fetched, from the disk, from memory."""
    rows = []
    signer = Presigner(remote.account)
    keys = [f"small/{at}" for at in range(2000)]
    random.Random(2).shuffle(keys)

    def took(count: int) -> float:
        import http.client
        connection, times = http.client.HTTPConnection(remote.account.host), []
        for key in keys[:count]:
            began = time.perf_counter()
            connection.request("GET", signer.target("GET", f"/{BUCKET}/{key}"))
            connection.getresponse().read()
            times.append((time.perf_counter() - began) * 1e6)
        return statistics.median(times)

    remote.restart(cold=True)
    signer = Presigner(remote.account)
    before = remote.metric("activestorage_cache_misses_total")
    fetched = took(40)
    time.sleep(6)
    took(400)
    time.sleep(6)
    remote.restart(cold=False)
    signer = Presigner(remote.account)
    disk = took(40)
    memory = took(40)
    first = remote.metric("activestorage_cache_misses_total")
    for name, value in (("GET 4 KiB, a miss", fetched), ("GET 4 KiB, from the disk", disk), ("GET 4 KiB, from memory", memory)):
        print(f"{name}: {value:.0f} us", flush=True)
        rows.append({"workload": name, "unit": "us", "ours": value})
    print(f"misses after a restart with a warm disk: {first:.0f}", flush=True)
    return rows


def large(args, remote, peer) -> list[dict]:
    """GET of 256 MiB with a cold cache, and of the same bytes from the object store."""
    size = 256 * MIB
    count = args.rounds
    for at in range(count):
        put(remote, f"large/{at}", os.urandom(size))
    listed, _ = Client(peer.account).call("GET", f"/{BUCKET}", {"list-type": "2", "prefix": f"{PREFIX}/segments/"})
    found = re.findall(rb"<Key>([^<]+)</Key>.*?<Size>(\d+)</Size>", listed, re.S)
    segments = [key.decode() for key, length in found if int(length) > size][:count]
    ours, direct = [], []
    for at, segment in enumerate(segments):
        both = [
            (ours, Presigner(remote.account).url("GET", f"/{BUCKET}/large/{at}")),
            (direct, Presigner(peer.account).url("GET", f"/{BUCKET}/{segment}")),
        ]
        # Read once before, so that the peer has both in memory.
        load.curls([[both[1][1]]], 1, size)
        for into, url in both if at % 2 else reversed(both):
            done = load.curls([[url]], 1, size)
            into.append(size / MIB / done.seconds)
    fetches = remote.metric("activestorage_cache_fetches_total")
    print(f"fetches so far: {fetches:.0f}", flush=True)
    again = []
    for at in range(count):
        done = load.curls([[Presigner(remote.account).url("GET", f"/{BUCKET}/large/{at}")]], 1, size)
        again.append(size / MIB / done.seconds)
    return [
        ratio("GET 256 MiB, cold cache, against the object store", ours, direct, "MiB/s", ">= 0.85"),
        ratio("GET 256 MiB, warm cache, against the object store", again, direct, "MiB/s", ""),
    ]


def hits(remote) -> list[dict]:
    """A working set that is larger than the cache, asked for as people do, with a scan in the middle."""
    objects, size = 1500, 256 * KIB
    for at in range(objects):
        put(remote, f"zipf/{at}", os.urandom(size))
    weights = [1 / (at + 1) for at in range(objects)]
    choose = random.Random(3)

    def ask(keys) -> None:
        signer = Presigner(remote.account)
        load.curls([[signer.url("GET", f"/{BUCKET}/zipf/{key}")] for key in keys], 4, size)

    def share() -> tuple[float, float]:
        held = remote.metric("activestorage_cache_hits_total")
        return held, held + remote.metric("activestorage_cache_misses_total")

    rows = []
    ask(choose.choices(range(objects), weights, k=2000))
    for name, scan in (("hit ratio, 64 MiB of cache for 375 MiB, zipf", False), ("the same after a scan of everything", True)):
        if scan:
            ask(range(objects))
        before = share()
        ask(choose.choices(range(objects), weights, k=1500))
        after = share()
        value = (after[0] - before[0]) / (after[1] - before[1])
        print(f"{name}: {value:.2f}", flush=True)
        rows.append({"workload": name, "unit": "", "ours": value})
    return rows


def upload(server, key: str, files: list[pathlib.Path], tags: list[str], headers: dict[str, str]) -> float:
    """An upload in parts, four at a time; seconds."""
    client, path = Client(server.account), f"/{BUCKET}/{key}"
    began = time.monotonic()
    answer, _ = client.call("POST", path, {"uploads": ""}, headers=headers)
    upload_id = re.search(rb"<UploadId>([^<]+)</UploadId>", answer)[1].decode()
    signer = Presigner(server.account)
    urls = [signer.url("PUT", path, {"partNumber": str(at + 1), "uploadId": upload_id}) for at in range(len(files))]
    load.curls([["-T", str(file), url] for file, url in zip(files, urls)], 4, files[0].stat().st_size)
    parts = "".join(f'<Part><PartNumber>{at + 1}</PartNumber><ETag>"{tag}"</ETag></Part>' for at, tag in enumerate(tags))
    client.call("POST", path, {"uploadId": upload_id}, f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode())
    return time.monotonic() - began


def multipart(args, remote, peer) -> list[dict]:
    """An upload of 1 GiB in parts of 16 MiB to the cold tier, and to the object store."""
    count, size = 64, 16 * MIB
    folder = remote.directory / "parts"
    folder.mkdir()
    ours, direct, peaks = [], [], []
    for at in range(min(args.rounds, 2)):
        # Each differs from all others, or it would be stored once.
        base, files, tags = os.urandom(size - 8), [], []
        for part in range(count):
            body = part.to_bytes(8, "big") + base
            files.append(folder / str(part))
            files[-1].write_bytes(body)
            tags.append(hashlib.md5(body).hexdigest())
        both = [(remote, ours, COLD), (peer, direct, {})]
        for server, into, headers in both if at % 2 else reversed(both):
            server.process.forget_peak()
            took = upload(server, f"multipart/{at}", files, tags, headers)
            into.append(count * size / MIB / took)
            if server is remote:
                peaks.append(server.process.peak_memory())
            Client(server.account).call("DELETE", f"/{BUCKET}/multipart/{at}")
    shutil.rmtree(folder)
    print(f"memory of the server meanwhile: {max(peaks):.0f} MiB at most (target <= 128)", flush=True)
    return [
        ratio("multipart upload of 1 GiB, against the object store", ours, direct, "MiB/s", ">= 0.8"),
        {"workload": "memory meanwhile", "unit": "MiB", "ours": max(peaks), "target": "<= 128"},
    ]


async def download(host: str, target: str, start: int, end: int, gate: asyncio.Event) -> int:
    """One slow reader: its head, then a little at a time until all have begun, then the rest."""
    name, port = host.split(":")
    reader, writer = await asyncio.open_connection(name, int(port), limit=64 * KIB)
    writer.write(f"GET {target} HTTP/1.1\r\nhost: {host}\r\nrange: bytes={start}-{end - 1}\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    assert b" 206 " in head.splitlines()[0], head
    read = 0
    while read < end - start:
        piece = await reader.read(64 * KIB)
        assert piece, "cut off"
        read += len(piece)
        if read > 256 * KIB:
            await gate.wait()
    writer.close()
    return read


async def slow_upload(host: str, target: str, body: bytes, gate: asyncio.Event) -> int:
    """One slow writer: its head and a little of its body, then the rest once all have begun."""
    name, port = host.split(":")
    reader, writer = await asyncio.open_connection(name, int(port), limit=64 * KIB)
    writer.write(f"PUT {target} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n\r\n".encode())
    first = 128 * KIB
    writer.write(body[:first])
    await gate.wait()
    for at in range(first, len(body), 64 * KIB):
        writer.write(body[at : at + 64 * KIB])
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1])


def memory(args, remote) -> list[dict]:
    """The highest resident set with so many downloads at a time, each of a stretch of its own, and as many uploads beside them."""
    remote.restart(cold=True)
    per, length = 250, MIB
    signer = Presigner(remote.account)
    idle = remote.process.memory()
    rows = []

    async def run(uploads: int) -> list[int]:
        gate, jobs, writers = asyncio.Event(), [], []
        body = bytearray(os.urandom(MIB + 256 * KIB))
        for at in range(args.readers):
            target = signer.target("GET", f"/{BUCKET}/large/{at // per % args.rounds}")
            start = at % per * MIB
            jobs.append(asyncio.create_task(download(remote.account.host, target, start, start + length, gate)))
            if at < uploads:
                body[:8] = at.to_bytes(8, "big")
                target = signer.target("PUT", f"/{BUCKET}/written/{at}", {"x-amz-storage-class": "STANDARD_IA"})
                writers.append(asyncio.create_task(slow_upload(remote.account.host, target, bytes(body), gate)))
            if at % 50 == 49:
                await asyncio.sleep(0.05)
        await asyncio.sleep(5)
        gate.set()
        await asyncio.gather(*jobs)
        return await asyncio.gather(*writers)

    for uploads, what in ((0, "downloads"), (args.readers, "downloads and as many uploads")):
        remote.process.forget_peak()
        answers = asyncio.run(run(uploads))
        peak = remote.process.peak_memory()
        refused = sum(status != 200 for status in answers)
        print(f"{args.readers} {what} at a time: {peak:.0f} MiB at most, {idle:.0f} MiB idle (target <= 256), {refused} refused", flush=True)
        rows.append({"workload": f"memory with {args.readers} {what} at a time", "unit": "MiB", "ours": peak, "other": idle,
                     "target": "<= 256", "refused": refused})
    return rows


def main() -> int:
    args = arguments()
    installed = pathlib.Path.home() / ".cache/juststorage/programs/bin"
    os.environ["PATH"] += os.pathsep + str(installed)
    if not shutil.which("weed"):
        print("weed is not installed: scripts/prepare clients", file=sys.stderr)
        return 1
    base = pathlib.Path(tempfile.mkdtemp(prefix="juststorage-cache-", dir=args.directory))
    running, rows = [], []

    def wanted(*parts: str) -> bool:
        return not args.only or any(part in args.only for part in parts)

    try:
        peer = peers.Seaweed(base / "peer")
        running.append(peer)
        Remote.peer = peer
        remote = Remote(base / "remote")
        running.append(remote)
        local = servers.JustStorage(base / "local")
        running.append(local)
        if wanted("small", "miss"):
            rows += small(args, remote, local)
        if wanted("miss"):
            rows += miss(remote)
        if wanted("large", "memory"):
            rows += large(args, remote, peer)
        if wanted("multipart"):
            rows += multipart(args, remote, peer)
        if wanted("memory"):
            rows += memory(args, remote)
        if wanted("hits"):
            Remote.cache = "64MiB"
            remote.restart(cold=True)
            rows += hits(remote)
    finally:
        for server in reversed(running):
            server.stop()
        shutil.rmtree(base, ignore_errors=True)
    pathlib.Path(args.json).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(args.json).write_text(json.dumps(rows, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
