#!/usr/bin/env python3
"""What it costs to leave another store: local requests while a bucket has an upstream, the first byte of a large object that is not
here yet, and fetching and comparing everything, beside rclone.

The old store (MinIO, if it is on PATH) and ours run on one machine; what is compared is measured in turns, so that the machine's
other work falls on both. It asserts nothing: timings are no tests. It takes 12 GiB of the disk for a while.

    cargo build --release --locked && python3 benches/leaving.py
    python3 benches/leaving.py --only first backfill
"""

import argparse
import concurrent.futures
import dataclasses
import itertools
import json
import os
import pathlib
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from harness import load, peers, remote, servers
from harness.sign import Account, Client, Presigner

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
OLD = {"minio": peers.Minio, "seaweedfs": peers.Seaweed, "versitygw": peers.Versity}
PARTS = ["hits", "first", "backfill", "large"]
# Objects that a backfill fetches at the same time.
AT_ONCE = 32


def arguments() -> argparse.Namespace:
    """How much."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--old", choices=OLD, default="minio")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--objects", type=int, default=100_000, help="of 16 KiB, to be fetched and compared")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, help="a part of it")
    parser.add_argument("--directory", help="where the stores are")
    parser.add_argument("--json", default="target/leaving.json")
    return parser.parse_args()


class Ours(servers.JustStorage):
    """Ours, and its operator."""

    def command(self, bucket: str, *args: str) -> dict:
        """`juststorage upstream …`."""
        env = os.environ | {"JUSTSTORAGE_DATA_DIR": str(self.directory / "data"), "RUST_LOG": "warn"}
        argv = [os.path.abspath(self.program), "upstream", *args, "--bucket", bucket, "--json"]
        return json.loads(subprocess.run(argv, check=True, capture_output=True, text=True, env=env).stdout)

    def bind(self, bucket: str, account: Account, theirs: str, mode: str) -> None:
        self.command(bucket, "set", "--endpoint", f"http://{account.host}", "--upstream-bucket", theirs, "--allow-private",
                     "--access-key", account.access_key, "--secret-key", account.secret_key, "--mode", mode)

    def sent(self, bucket: str) -> float:
        """Waits until everything is at the upstream; seconds."""
        began = time.monotonic()
        while self.command(bucket, "status")["mirror"]["waiting"]:
            time.sleep(0.2)
        return time.monotonic() - began


def told(name: str, ours: list[float], other: list[float], unit: str, target: str, **more) -> dict:
    """One row: medians, and the median of the ratios of each round."""
    row = {"workload": name, "unit": unit, "ours": statistics.median(ours), "other": statistics.median(other),
           "ratio": statistics.median(a / b for a, b in zip(ours, other)), "target": target} | more
    print(f"{name}: {row['ours']:.1f} against {row['other']:.1f} {unit}, {row['ratio']:.3f} x (target {target}) {more or ''}", flush=True)
    return row


def hits(args, old, ours) -> list[dict]:
    """Local requests in buckets of one server: one without an upstream, and one in each mode."""
    buckets = {"none": "plain", "read-through": "through", "mirror": "mirrored", "mirror, upstream stopped": "cut"}
    keys = [f"small/{at}" for at in range(2000)]
    presigner, client = Presigner(ours.account), Client(ours.account)
    for name, bucket in buckets.items():
        ours.make_bucket(bucket)
        filler = os.urandom(4 * KIB - 8)
        for at, key in enumerate(keys):
            client.call("PUT", f"/{bucket}/{key}", body=at.to_bytes(8, "big") + filler)
        if name != "none":
            old.make_bucket(bucket)
            ours.bind(bucket, old.account, bucket, "read-through" if name == "read-through" else "mirror")
    for bucket in ("mirrored", "cut"):
        ours.sent(bucket)
    rounds, file = itertools.count(), ours.directory / "targets"

    def rate(method: str, bucket: str) -> float:
        if method == "GET":
            targets = [presigner.target("GET", f"/{bucket}/{key}") for key in keys]
        else:
            number = next(rounds)
            targets = [presigner.target("PUT", f"/{bucket}/put/{number}/{at:07}") for at in range(int(12_000 * args.seconds))]
        file.write_text("".join(target + "\n" for target in targets))
        done = load.wrk(ours.account.host, file, method, 4 * KIB if method == "PUT" else 0, 64, args.seconds, method == "GET")
        return done.requests / done.seconds

    rows = []
    for method in ("GET", "PUT"):
        rates = {name: [] for name in buckets}
        for round_ in range(-1, args.rounds):
            order = list(buckets) if round_ % 2 else list(reversed(buckets))
            for name in order:
                # What the old store does with what it is sent costs the same two cores: without it, what is left is ours.
                stopped = name != "mirror"
                if stopped:
                    old.process.pause()
                figure = rate(method, buckets[name])
                if stopped:
                    old.process.resume()
                if round_ >= 0:
                    rates[name].append(figure)
                if method == "PUT" and name.startswith("mirror"):
                    ours.sent(buckets[name])
        for name in list(buckets)[1:]:
            rows.append(told(f"{method} 4 KiB, 64 connections, {name}", rates[name], rates["none"], "op/s", ">= 0.97"))
    return rows


def put_parts(server, bucket: str, key: str, parts: int, size: int) -> None:
    """An upload in parts whose bytes are nobody else's."""
    client, path, tags = Client(server.account), f"/{bucket}/{key}", []
    answer, _ = client.call("POST", path, {"uploads": ""})
    upload = re.search(rb"<UploadId>([^<]+)", answer)[1].decode()
    body = bytearray(os.urandom(size))
    for number in range(1, parts + 1):
        body[:8] = number.to_bytes(8, "big")
        _, headers = client.call("PUT", path, {"partNumber": str(number), "uploadId": upload}, bytes(body))
        tags.append(headers["ETag"])
    listed = "".join(f"<Part><PartNumber>{at}</PartNumber><ETag>{tag}</ETag></Part>" for at, tag in enumerate(tags, 1))
    client.call("POST", path, {"uploadId": upload}, f"<CompleteMultipartUpload>{listed}</CompleteMultipartUpload>".encode())


def curl(url: str) -> tuple[float, float]:
    """Milliseconds until the first byte, and seconds until the last."""
    argv = ["curl", "-sS", "--fail", "-o", "/dev/null", "-w", "%{time_starttransfer} %{time_total}", url]
    first, total = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()
    return float(first) * 1e3, float(total)


def first(args, old, ours) -> list[dict]:
    """The first read of 1 GiB, through ours and from the old store, which is near or 10 ms away."""
    rounds = min(args.rounds, 3)
    rows = first_from(old.account, "near", old, ours, rounds)
    if shutil.which(remote.PROXY):
        far = dataclasses.replace(old.account, host=remote.farther(old, old.account.host, 10))
        rows += first_from(far, "far", old, ours, rounds)
    return rows + streams(old, ours, 4)


def first_from(place: Account, bucket: str, old, ours, rounds: int) -> list[dict]:
    """The first reads of objects of the old store, which is at this place."""
    old.make_bucket(bucket)
    ours.make_bucket(bucket)
    # Two more that are read before, so that connections are made, and what stays in memory is no stream's.
    for at in range(-2, rounds):
        put_parts(old, bucket, f"{at}", 64, 16 * MIB)
    ours.bind(bucket, place, bucket, "read-through")
    here, there = Presigner(ours.account), Presigner(place)
    mine, theirs, whole, direct, peaks = [], [], [], [], []
    for at in range(-2, rounds):
        curl(there.url("GET", f"/{bucket}/{at}"))
        took, seconds = curl(there.url("GET", f"/{bucket}/{at}"))
        before = ours.process.memory()
        ours.process.forget_peak()
        pulled, pull = curl(here.url("GET", f"/{bucket}/{at}"))
        if at >= 0:
            mine.append(pulled)
            theirs.append(took)
            whole.append(GIB / MIB / pull)
            direct.append(GIB / MIB / seconds)
            peaks.append(ours.process.peak_memory() - before)
    print(f"memory: {max(peaks):.1f} MiB for one stream of 1 GiB, {bucket} (target <= 16)", flush=True)
    return [
        told(f"first byte of 1 GiB in 64 parts that is not here, {bucket}", mine, theirs, "ms", "<= 1.3"),
        told(f"the whole of it, {bucket}", whole, direct, "MiB/s", ""),
        {"workload": f"memory for one stream, {bucket}", "unit": "MiB", "ours": max(peaks), "target": "<= 16"},
    ]


def streams(old, ours, count: int) -> list[dict]:
    """The memory that first reads at the same time take."""
    old.make_bucket("side")
    ours.make_bucket("side")
    for at in range(count):
        put_parts(old, "side", f"{at}", 16, 16 * MIB)
    ours.bind("side", old.account, "side", "read-through")
    here, before = Presigner(ours.account), ours.process.memory()
    ours.process.forget_peak()
    load.curls([[here.url("GET", f"/side/{at}")] for at in range(count)], count, 256 * MIB)
    each = (ours.process.peak_memory() - before) / count
    print(f"memory: {each:.1f} MiB for each of {count} streams (target <= 16)", flush=True)
    return [{"workload": f"memory for each of {count} streams", "unit": "MiB", "ours": each, "target": "<= 16"}]


def rclone(old, ours, bucket: str) -> float:
    """Copies a bucket from store to store; seconds."""
    # Of the machine's own way to the internet, which is not meant.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")} | {"RCLONE_CONFIG": "/dev/null"}
    for name, server in (("OLD", old), ("NEW", ours)):
        account = server.account
        env |= {f"RCLONE_CONFIG_{name}_TYPE": "s3", f"RCLONE_CONFIG_{name}_PROVIDER": "Other",
                f"RCLONE_CONFIG_{name}_ENDPOINT": f"http://{account.host}", f"RCLONE_CONFIG_{name}_ACCESS_KEY_ID": account.access_key,
                f"RCLONE_CONFIG_{name}_SECRET_ACCESS_KEY": account.secret_key, f"RCLONE_CONFIG_{name}_REGION": "us-east-1"}
    began = time.monotonic()
    subprocess.run(["rclone", "copy", f"old:{bucket}", f"new:{bucket}", "--transfers", str(AT_ONCE), "--checkers", str(AT_ONCE)],
                   check=True, env=env)
    return time.monotonic() - began


def fetch(args, old, base: pathlib.Path, bucket: str, count: int, size: int) -> list[dict]:
    """Everything is fetched by a backfill, copied by rclone, and compared; into a store of ours that is empty, each time."""
    old.make_bucket(bucket)
    filler = os.urandom(size - 8)
    local = threading.local()

    def put(at: int) -> None:
        if not hasattr(local, "client"):
            local.client = Client(old.account)
        local.client.call("PUT", f"/{bucket}/{at % 100:02}/{at:06}", body=at.to_bytes(8, "big") + filler)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in pool.map(put, range(count)):
            pass
    name, rows, backfills, copies, verifies = f"{count} x {size // KIB} KiB", [], [], [], []

    def backfill() -> float:
        ours.bind(bucket, old.account, bucket, "read-through")
        began = time.monotonic()
        done = ours.command(bucket, "backfill")
        took = time.monotonic() - began
        if done["fetched"] != count or not done["clean"]:
            raise RuntimeError(f"not everything was fetched: {done}")
        began = time.monotonic()
        done = ours.command(bucket, "verify")
        verifies.append(count / (time.monotonic() - began))
        if done["matched"] != count or not done["clean"]:
            raise RuntimeError(f"they differ: {done}")
        return took

    for round_ in range(2):
        # Whoever is second finds warm caches.
        for work, into in ((backfill, backfills), (lambda: rclone(old, ours, bucket), copies))[:: 1 if round_ else -1]:
            ours = Ours(base / f"{bucket}-{work.__name__.strip('<>')}-{round_}")
            try:
                ours.make_bucket(bucket)
                into.append(work())
            finally:
                ours.stop()
    rows.append(told(f"backfill of {name}, against rclone copy", [count / took for took in backfills], [count / took for took in copies],
                     "objects/s", ">= 0.9", seconds=[round(took, 1) for took in (*backfills, *copies)]))
    print(f"verify: {statistics.median(verifies):.0f} objects/s (target >= 2000)", flush=True)
    return [*rows, {"workload": f"verify of {name}", "unit": "objects/s", "ours": statistics.median(verifies), "target": ">= 2000"}]


def main() -> int:
    args = arguments()
    tools = pathlib.Path.home() / ".cache/juststorage"
    os.environ["PATH"] += os.pathsep + os.pathsep.join(str(tools / place) for place in ("programs/bin", "debs/usr/bin"))
    kind = OLD[args.old]
    for program in (kind.program, "wrk", "curl", "rclone"):
        if not shutil.which(program):
            print(f"{program} is not on PATH", file=sys.stderr)
            return 2
    base = pathlib.Path(tempfile.mkdtemp(prefix="juststorage-leaving-", dir=args.directory))
    running, rows = [], []
    try:
        running.append(old := kind(base / "old"))
        running.append(ours := Ours(base / "ours"))
        if "hits" in args.only:
            rows += hits(args, old, ours)
        if "first" in args.only:
            rows += first(args, old, ours)
        if "backfill" in args.only:
            rows += fetch(args, old, base, "small", args.objects, 16 * KIB)
        if "large" in args.only:
            rows += fetch(args, old, base, "big", 64, 64 * MIB)
    finally:
        for server in reversed(running):
            server.stop()
        shutil.rmtree(base, ignore_errors=True)
    pathlib.Path(args.json).parent.mkdir(parents=True, exist_ok=True)
    pathlib.Path(args.json).write_text(json.dumps({"old": args.old, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
