#!/usr/bin/env python3
"""What a large store costs: puts and listings at ten million objects beside the same at ten thousand, a start with
cold caches, pages of groups of keys beside pages of keys, and what a mass deletion does to others.

The rows of the large store are written straight into its database (through HTTP they would take an hour): every one
with a blob of its own, all of which lie where the bytes of one real object lie. That is good for measuring metadata,
and for nothing else: such a store is thrown away. The deletion is of real objects.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import hashlib
import http.client
import os
import pathlib
import random
import re
import shutil
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid

from harness import load, servers
from harness.sign import Client, Presigner

BODY = 4096
PAGE = 1000

# Keys of the objects that `fill` makes of number n, in SQL: all at one level, or a thousand to a group.
FLAT = "printf('k/%010d', n)"
GROUPED = "printf('groups/%07d/%03d', n / 1000, n % 1000)"


def arguments() -> argparse.Namespace:
    """What is to be measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--small", type=int, default=10_000, help="objects of the small store")
    parser.add_argument("--large", type=int, default=10_000_000, help="objects of the large store; 0 to leave it out")
    parser.add_argument("--pages", type=int, default=1_000_000, help="objects that pages are read of; 0 to leave it out")
    parser.add_argument("--delete", type=int, default=1_000_000, help="objects that are put and deleted; 0 to leave it out")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--directory", help="where the stores are")
    return parser.parse_args()


class Store(servers.JustStorage):
    """A store that was filled before it is measured."""

    def __init__(self, directory: pathlib.Path, objects: int, keys: str = FLAT) -> None:
        super().__init__(directory)
        client = Client(self.account)
        client.call("PUT", "/bench/k/0000000000", body=os.urandom(BODY))
        self.process.stop()
        began = time.monotonic()
        fill(directory / "data" / "metadata.db", objects, keys)
        print(f"{objects:,} objects written in {time.monotonic() - began:.0f} s", flush=True)
        self.again()

    def again(self) -> float:
        """Starts it; seconds until it is ready."""
        began = time.monotonic()
        self.process, self.account = self.start()
        while not self.ready():
            time.sleep(0.01)
        return time.monotonic() - began

    def ready(self) -> bool:
        with contextlib.closing(http.client.HTTPConnection(self.native, timeout=10)) as connection:
            with contextlib.suppress(OSError):
                connection.request("GET", "/ready")
                return connection.getresponse().status == 200
        return False


def fill(database: pathlib.Path, objects: int, keys: str) -> None:
    """Copies the one object's rows under other keys, and its blob's under other hashes."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.row_factory = sqlite3.Row
    for pragma in ("synchronous = OFF", "foreign_keys = OFF", "cache_size = -4000000"):
        connection.execute(f"PRAGMA {pragma}")
    thing = dict(connection.execute("SELECT * FROM objects WHERE key = 'k/0000000000'").fetchone())
    blob = dict(connection.execute("SELECT * FROM blobs WHERE id = ?", (thing["blob_id"],)).fetchone())

    def insert(table: str, row: dict, changed: dict[str, str]) -> str:
        """Statement that writes the row once for each number of a portion, but for what `changed` makes of it."""
        values = ", ".join(changed.get(column, f":{column}") for column in row)
        return (
            "WITH RECURSIVE numbers(n) AS (VALUES (:first) UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :until) "
            f"INSERT INTO {table} ({', '.join(row)}) SELECT {values} FROM numbers"
        )

    def id_of(salt: int, number: int) -> bytes:
        """Of version 7, in order, older than whatever the server makes."""
        return uuid.UUID(int=((1_600_000_000_000 + number) << 80) | (7 << 76) | (2 << 62) | (salt << 48)).bytes

    connection.create_function("id_of", 2, id_of, deterministic=True)
    # Indexes are made at the end: sorting is several times as fast as so many inserts in random order.
    indexes = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL "
                                 "AND tbl_name IN ('blobs', 'objects')").fetchall()
    for index in indexes:
        connection.execute(f"DROP INDEX {index['name']}")
    blobs = insert("blobs", blob, {"id": "id_of(1, n)", "hash": "randomblob(32)"})
    things = insert("objects", thing, {"id": "id_of(2, n)", "blob_id": "id_of(1, n)", "key": keys})
    step = 250_000
    for first in range(1, objects, step):
        portion = {"first": first, "until": min(objects, first + step)}
        connection.execute("BEGIN")
        connection.execute(blobs, blob | portion)
        connection.execute(things, thing | portion)
        connection.execute("COMMIT")
    for index in indexes:
        connection.execute(index["sql"])
    more = objects - 1
    connection.execute(
        "UPDATE usage SET objects = objects + ?1, logical_bytes = logical_bytes + ?1 * ?2, "
        "physical_bytes = physical_bytes + ?1 * ?2 WHERE objects > 0", (more, BODY))
    connection.execute("UPDATE segments SET live_bytes = live_bytes + ?1 * ?2 WHERE live_bytes > 0", (more, BODY))
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()


def forget_caches() -> bool:
    """Empties the page cache, if this user may."""
    os.sync()
    try:
        pathlib.Path("/proc/sys/vm/drop_caches").write_text("3")
    except OSError:
        return False
    return True


def remember(database: pathlib.Path) -> None:
    """Reads the whole database into the page cache, as a server has it that ran for some time."""
    with database.open("rb") as file:
        while file.read(1 << 24):
            pass


def puts(store: Store, directory: pathlib.Path, among: int, seconds: float) -> load.Load:
    """New keys, scattered among those that are there."""
    presigner, file = Presigner(store.account), directory / "puts"
    with file.open("w") as out:
        for _ in range(100_000):
            out.write(presigner.target("PUT", f"/bench/k/{random.randrange(among):010d}-{uuid.uuid4()}") + "\n")
    return load.wrk(store.account.host, file, "PUT", BODY, 64, seconds, again=False)


def page(client: Client, after: str, prefix: str = "k/", delimiter: str = "") -> float:
    """Milliseconds for one page."""
    query = {"list-type": "2", "max-keys": str(PAGE), "prefix": prefix, "start-after": after}
    if delimiter:
        query["delimiter"] = delimiter
    began = time.monotonic()
    client.call("GET", "/bench", query)
    return (time.monotonic() - began) * 1e3


def at_scale(args: argparse.Namespace, base: pathlib.Path) -> None:
    """The large store beside the small one, in turns."""
    stores = {}
    for objects in (args.small, args.large):
        stores[objects] = Store(base / str(objects), objects)
        cold = forget_caches()
        stores[objects].process.stop()
        took = stores[objects].again()
        size = (base / str(objects) / "data" / "metadata.db").stat().st_size / (1 << 20)
        print(f"{objects:,} objects: start to ready {took * 1e3:.0f} ms ({'cold' if cold else 'warm'} caches), "
              f"database {size:,.0f} MiB", flush=True)
    for cold in (True, False):
        rates = {objects: [] for objects in stores}
        for _ in range(args.rounds):
            for objects, store in stores.items():
                # With cold caches a put waits for the disk to read a page of each index that it changes.
                if cold:
                    forget_caches()
                else:
                    remember(base / str(objects) / "data" / "metadata.db")
                done = puts(store, base, objects, args.seconds)
                rates[objects].append(done.requests / done.seconds)
                print(f"{objects:,} objects, {'cold' if cold else 'warm'} caches: {rates[objects][-1]:,.0f} puts/s at 64 "
                      f"connections, p50 {done.p50:.1f} ms, p99 {done.p99:.1f} ms", flush=True)
        small, large = (statistics.median(rates[objects]) for objects in stores)
        print(f"puts: {large / small:.2f} of the small store's rate", flush=True)
    store, client = stores[args.large], Client(stores[args.large].account)
    for name, after in (("first", ""), ("middle", f"k/{args.large // 2:010d}"), ("last", f"k/{args.large - PAGE:010d}")):
        times = [page(client, after) for _ in range(20)]
        print(f"list {PAGE} of {args.large:,}, {name} page: p50 {statistics.median(times):.1f} ms")
    times = [page(client, "", prefix="", delimiter="/") for _ in range(20)]
    print(f"list with delimiter over {args.large:,} keys: p50 {statistics.median(times):.1f} ms")
    print(f"peak memory {store.process.peak_memory():.0f} MiB")
    for store in stores.values():
        store.stop()


def pages(args: argparse.Namespace, base: pathlib.Path) -> None:
    """Pages of keys, and of groups of keys, in turns."""
    store = Store(base / "pages", args.pages, GROUPED)
    presigner, file = Presigner(store.account), base / "pages.targets"
    middle = f"groups/{args.pages // 2 // 1000:07d}/500"
    kinds = {"first": {}, "middle": {"start-after": middle}, "delimiter": {"delimiter": "/"}}
    times = {kind: [] for kind in kinds}
    for _ in range(args.rounds):
        for kind, more in kinds.items():
            query = {"list-type": "2", "max-keys": str(PAGE), "prefix": "groups/"} | more
            file.write_text((presigner.target("GET", "/bench", query) + "\n") * 8)
            done = load.wrk(store.account.host, file, "GET", 0, 4, args.seconds, again=True)
            times[kind].append(done.seconds / done.requests * 1e3)
            print(f"list {PAGE} of {args.pages:,}, {kind}: {1e3 / times[kind][-1]:.0f} pages/s at 4 connections, "
                  f"p50 {done.p50:.1f} ms", flush=True)
    medians = {kind: statistics.median(each) for kind, each in times.items()}
    turns = sorted(delimiter / first for delimiter, first in zip(times["delimiter"], times["first"], strict=True))
    print(f"a page costs {medians['first']:.1f}, {medians['middle']:.1f}, {medians['delimiter']:.1f} ms; one with a delimiter "
          f"{statistics.median(turns):.2f} times the first ({turns[0]:.2f} to {turns[-1]:.2f})")
    store.stop()


def mass_deletion(args: argparse.Namespace, base: pathlib.Path) -> None:
    """Deletes many real objects, and watches what others feel meanwhile."""
    store = servers.JustStorage(base / "deletion")
    presigner = Presigner(store.account)

    def targets(name: str, method: str, keys) -> pathlib.Path:
        file = base / name
        with file.open("w") as out:
            out.writelines(presigner.target(method, f"/bench/{key}") + "\n" for key in keys)
        return file

    host, began, done, part = store.account.host, time.monotonic(), 0, 0
    while done < args.delete:
        keys = [f"gone/{part:04d}/{number:06d}" for number in range(50_000)]
        done += load.wrk(host, targets("fill", "PUT", keys), "PUT", BODY, 64, 8, again=False).requests
        part += 1
    print(f"{done:,} objects put in {time.monotonic() - began:.0f} s", flush=True)
    load.wrk(host, targets("stay", "PUT", (f"stay/{number}" for number in range(1000))), "PUT", BODY, 16, 3, again=True)
    reads = targets("reads", "GET", (f"stay/{number}" for number in range(1000)))

    def look() -> load.Load:
        return load.wrk(host, reads, "GET", 0, 16, args.seconds, again=True)

    quiet, busy = [look() for _ in range(3)], []
    data = base / "deletion" / "data"
    before, began = occupied(data), time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(1) as threads:
        deletion = threads.submit(delete_all, Client(store.account), "gone/")
        while not deletion.done() or occupied(data) > before / 4:
            busy.append(look())
            if time.monotonic() - began > 3600:
                break
        deleted, took = deletion.result()
    print(f"{deleted:,} objects deleted in {took:.0f} s, their space given back after {time.monotonic() - began:.0f} s: "
          f"{before:,.0f} MiB, then {occupied(data):,.0f} MiB")
    for name, loads in (("before", quiet), ("meanwhile", busy)):
        rate = statistics.median(done.requests / done.seconds for done in loads)
        p99 = [done.p99 for done in loads]
        print(f"GET 4 KiB, 16 connections, {name}: {rate:,.0f}/s, "
              f"p99 {statistics.median(p99):.1f} ms, in the worst {args.seconds:.0f} s {max(p99):.1f} ms")
    store.stop()


def delete_all(client: Client, prefix: str) -> tuple[int, float]:
    """Deletes what is below a prefix, page by page; how many objects, and in how many seconds."""
    began, count = time.monotonic(), 0
    while True:
        answer, _ = client.call("GET", "/bench", {"list-type": "2", "max-keys": str(PAGE), "prefix": prefix})
        keys = re.findall(rb"<Key>([^<]+)", answer)
        if not keys:
            return count, time.monotonic() - began
        objects = b"".join(b"<Object><Key>" + key + b"</Key></Object>" for key in keys)
        body = b"<Delete><Quiet>true</Quiet>" + objects + b"</Delete>"
        digest = base64.b64encode(hashlib.md5(body).digest()).decode()
        client.call("POST", "/bench", {"delete": ""}, body, {"Content-MD5": digest})
        count += len(keys)


def occupied(directory: pathlib.Path) -> float:
    """MiB of the tiers' files on disk."""
    files = (path.stat() for path in directory.rglob("*.seg") if path.exists())
    return sum(stat.st_blocks * 512 for stat in files) / (1 << 20)


def main() -> int:
    """One part after the other."""
    args = arguments()
    base = pathlib.Path(tempfile.mkdtemp(prefix="scale-", dir=args.directory))
    try:
        if args.large:
            at_scale(args, base)
        if args.pages:
            pages(args, base)
        if args.delete:
            mass_deletion(args, base)
    finally:
        shutil.rmtree(base, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
