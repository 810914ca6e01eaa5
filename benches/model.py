#!/usr/bin/env python3
"""What saturates first where 1 to 16 replicas serve 100 million objects over one PostgreSQL and a bucket 10 ms away, and at which rate.

A model, not a measurement: each part has a most that it can do in a second, the least of them is the answer. The costs that go in are
measured; `--measure` measures them again on this machine (PostgreSQL, SeaweedFS as the bucket, wrk as clients), in half a minute.
What is measured is processor time, bytes and rows for each request, which a busy machine changes little; rates and latencies are not.

    python3 benches/model.py
    JUSTSTORAGE_BENCH_BINARY=target/release/juststorage python3 benches/model.py --measure
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass

from harness import load, remote, servers
from harness.sign import Client, Presigner

BODY = 4096
HOUR = 3600


@dataclass
class Costs:
    """What a request of 4 KiB costs. Measured on the day that docs/scale.md names."""

    replica_put: float = 0.42e-3  # seconds of a replica's processor
    replica_get: float = 0.16e-3  # from its cache
    database_put: float = 0.39e-3  # seconds of the database's processor
    database_get: float = 0.20e-3
    wal_put: float = 1630  # bytes of the database's log
    row: float = 860  # bytes of the database for an object, indexes included
    index: float = 460  # of these, indexes


@dataclass
class Shape:
    """What the parts are. Assumed."""

    objects: int = 100_000_000
    replica_cores: float = 2
    database_cores: float = 16
    database_memory: float = 128 * 2**30  # what it can cache
    log_bytes: float = 200e6  # bytes of log that the database's disk and its standby take in a second
    commit: float = 2e-3  # seconds until a commit is durable, also on a synchronous standby
    round_trip: float = 0.3e-3  # seconds between replica and database
    statements: float = 8  # of a transaction that commits a batch
    store: float = 10e-3  # seconds for a request to the bucket
    store_puts: float = 3500  # requests a second that a prefix of S3 takes
    store_gets: float = 5500
    packs: int = 8  # on their way at a time, of a replica and tier
    batch: int = 256  # puts of a pack and of a transaction, at most
    together: float = 32  # puts that share a pack, on average, where many clients write
    hit: float = 0.8  # of the reads that a cache answers


def arguments() -> argparse.Namespace:
    """Costs and shapes, each to be replaced."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--measure", action="store_true", help="measure the costs first")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--directory", help="where the stores are")
    for group in (Costs(), Shape()):
        for name, value in asdict(group).items():
            parser.add_argument(f"--{name.replace('_', '-')}", type=float, help=f"{value:g}")
    return parser.parse_args()


class Measured(remote.JustStorageRemote):
    """Ours over a PostgreSQL of its own, all tiers in a bucket."""

    name = "model"

    def environment(self) -> dict[str, str]:
        self.cluster = servers.Postgres(self.directory / "postgres")
        self.started.append(self.cluster.process)
        tiers = super().environment()
        return tiers | {"DATABASE_URL": self.cluster.url, "JUSTSTORAGE_MASTER_KEY": "00" * 32}

    def number(self, sql: str) -> float:
        """What the database says."""
        tools = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        argv = [tools / "psql", "-d", self.cluster.url, "-Atc", sql]
        return float(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)


def measure(args: argparse.Namespace) -> Costs:
    """The costs, here and now."""
    base = pathlib.Path(tempfile.mkdtemp(prefix="juststorage-model-", dir=args.directory))
    base.chmod(0o755)
    server = Measured(base / "store")
    try:
        signer, database = Presigner(server.account), server.cluster.process
        targets = server.directory / "targets"
        keys = [f"/{servers.BUCKET}/model/{at:07d}" for at in range(400_000)]

        def run(method: str, some: list[str], body: int, again: bool) -> tuple[float, float, float]:
            targets.write_text("".join(signer.target(method, key) + "\n" for key in some))
            own, its = server.process.cpu_seconds(), database_seconds(database)
            done = load.wrk(server.account.host, targets, method, body, 64, args.seconds, again)
            own, its = server.process.cpu_seconds() - own, database_seconds(database) - its
            return done.requests, own / done.requests, its / done.requests

        rows = "SELECT count(*) FROM objects"
        size = "SELECT pg_database_size(current_database())"
        log = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
        index = "SELECT sum(pg_indexes_size(oid)) FROM pg_class WHERE relkind = 'r'"
        client, written = Client(server.account), keys[:400]
        for key in written:
            client.call("PUT", key, body=os.urandom(BODY))
        run("PUT", keys[400:10_000], BODY, True)
        before = [server.number(sql) for sql in (rows, size, log, index)]
        _, replica_put, database_put = run("PUT", keys[10_000:], BODY, False)
        after = [server.number(sql) for sql in (rows, size, log, index)]
        more, bytes_more, log_more, index_more = (late - early for early, late in zip(before, after))
        run("GET", written, 0, True)
        _, replica_get, database_get = run("GET", written, 0, True)
        return Costs(replica_put, replica_get, database_put, database_get, log_more / more, bytes_more / more, index_more / more)
    finally:
        server.stop()
        shutil.rmtree(base, ignore_errors=True)


def database_seconds(process) -> float:
    """Of all processes of a database, each of which has a session of its own."""
    main = pathlib.Path(f"/proc/{process.child.pid}/task/{process.child.pid}/children").read_text().split() or [process.child.pid]
    waiting, total = [int(pid) for pid in main], 0.0
    while waiting:
        pid = waiting.pop()
        try:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except OSError:
            continue
        # Its own, and its ended children's.
        total += sum(int(fields[at]) for at in (11, 12, 13, 14)) / os.sysconf("SC_CLK_TCK")
        waiting.extend(int(child) for child in children)
    return total


def puts(costs: Costs, shape: Shape, replicas: int) -> dict[str, float]:
    """The most puts a second that each part takes."""
    transaction = shape.statements * shape.round_trip + shape.commit
    return {
        "processors of the replicas": replicas * shape.replica_cores / costs.replica_put,
        "packs on their way": replicas * shape.packs * shape.together / shape.store,
        "transactions of the replicas": replicas * shape.batch / transaction,
        "processors of PostgreSQL": shape.database_cores / costs.database_put,
        "log of PostgreSQL": shape.log_bytes / costs.wal_put,
        "requests to one prefix of the bucket": shape.store_puts * shape.together,
    }


def gets(costs: Costs, shape: Shape, replicas: int) -> dict[str, float]:
    """The most gets a second that each part takes."""
    return {
        "processors of the replicas": replicas * shape.replica_cores / costs.replica_get,
        "processors of PostgreSQL": shape.database_cores / costs.database_get,
        "requests to one prefix of the bucket": shape.store_gets / (1 - shape.hit),
    }


def table(title: str, limits, costs: Costs, shape: Shape) -> None:
    print(f"\n| replicas | {title} a second | what saturates first | what comes next | at |\n|---|---|---|---|---|")
    for replicas in (1, 2, 4, 8, 16):
        (first, rate), (next_one, later) = sorted(limits(costs, shape, replicas).items(), key=lambda part: part[1])[:2]
        print(f"| {replicas} | {rate:,.0f} | {first} | {next_one} | {later:,.0f} |")


def main() -> int:
    args = arguments()
    installed = pathlib.Path.home() / ".cache/juststorage/programs/bin"
    os.environ["PATH"] += os.pathsep + str(installed)
    costs, shape = measure(args) if args.measure else Costs(), Shape()
    for group in (costs, shape):
        for name in asdict(group):
            if getattr(args, name) is not None:
                setattr(group, name, getattr(args, name))
    print(json.dumps({"costs": asdict(costs), "shape": asdict(shape)}, indent=1))
    table("puts of 4 KiB", puts, costs, shape)
    table("gets of 4 KiB", gets, costs, shape)
    most = min(puts(costs, shape, 16).values())
    print(f"\n{shape.objects:,.0f} objects: {shape.objects * costs.row / 2**30:,.0f} GiB of database, "
          f"{shape.objects * costs.index / 2**30:,.0f} GiB of it indexes, of which {shape.database_memory / 2**30:,.0f} GiB can be cached; "
          f"written at the most that 16 replicas do in {shape.objects / most / HOUR:,.1f} hours, "
          f"as {shape.objects / shape.together:,.0f} packs before merging")
    return 0


if __name__ == "__main__":
    sys.exit(main())
