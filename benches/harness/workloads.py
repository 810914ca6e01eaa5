"""What is measured. Each workload prepares a server once and then runs in turns against all of them."""

import base64
import hashlib
import itertools
import os
import pathlib
import re
import shutil
import statistics
import time
from dataclasses import dataclass

from . import load
from .load import Load
from .servers import BUCKET, Server
from .sign import Client, Presigner

KIB, MIB = 1 << 10, 1 << 20


@dataclass
class Setting:
    """How much of everything."""

    seconds: float
    objects: int
    directory: pathlib.Path


class Workload:
    """One line of the table."""

    # "operations" or "MiB" per second, or "ms" where less is better.
    unit = "op/s"
    needs_store = False

    def __init__(self, name: str) -> None:
        self.name = name
        self.round = itertools.count()

    def prepare(self, server: Server, setting: Setting) -> None:
        """Once for each server."""

    def run(self, server: Server, setting: Setting) -> Load:
        """One round."""
        raise NotImplementedError

    def figure(self, done: Load) -> float:
        """The figure of the table."""
        if self.unit == "MiB/s":
            return done.bytes / done.seconds / MIB
        if self.unit == "ms":
            return done.p50 or 0.0
        return done.requests / done.seconds

    def possible(self) -> bool:
        """Whether its load generator is installed."""
        return True

    def targets(self, server: Server, method: str, keys: list[str]) -> pathlib.Path:
        """A file of presigned request targets."""
        presigner = Presigner(server.account)
        file = server.directory / "targets"
        with file.open("w") as lines:
            lines.writelines(presigner.target(method, f"/{BUCKET}/{key}") + "\n" for key in keys)
        return file


class Put(Workload):
    """Distinct keys, distinct contents."""

    def __init__(self, name: str, size: int, connections: int, rate: int) -> None:
        super().__init__(name)
        self.size, self.connections, self.rate = size, connections, rate
        self.unit = "MiB/s" if size >= MIB else "op/s"

    def run(self, server: Server, setting: Setting) -> Load:
        number = next(self.round)
        # More keys than any server gets through in the time.
        count = int(self.rate * setting.seconds)
        keys = [f"put/{self.name.replace(' ', '-')}/{number}/{at:07d}" for at in range(count)]
        file = self.targets(server, "PUT", keys)
        return load.wrk(server.account.host, file, "PUT", self.size, self.connections, setting.seconds, False)


class Get(Workload):
    """Random keys among many, all in the page cache."""

    def __init__(self, name: str, size: int, connections: int, keys: int) -> None:
        super().__init__(name)
        self.size, self.connections, self.keys = size, connections, keys
        self.unit = "MiB/s" if size >= MIB else "op/s"

    def prepare(self, server: Server, setting: Setting) -> None:
        client, filler = Client(server.account), os.urandom(self.size)
        for at in range(self.keys):
            client.call("PUT", f"/{BUCKET}/get/{self.size}/{at}", body=at.to_bytes(8, "big") + filler[8:])

    def run(self, server: Server, setting: Setting) -> Load:
        keys = [f"get/{self.size}/{at * 7919 % self.keys}" for at in range(self.keys)]
        file = self.targets(server, "GET", keys)
        return load.wrk(server.account.host, file, "GET", 0, self.connections, setting.seconds, True)


class Head(Workload):
    """One object's headers."""

    def prepare(self, server: Server, setting: Setting) -> None:
        Client(server.account).call("PUT", f"/{BUCKET}/head", body=b"x" * 4096)

    def run(self, server: Server, setting: Setting) -> Load:
        url = Presigner(server.account).url("HEAD", f"/{BUCKET}/head")
        return load.head(url, 64, setting.seconds)


def file_of(setting: Setting, number: int, size: int) -> pathlib.Path:
    """A file whose every MiB is unlike any other's."""
    file = setting.directory / f"file-{size}-{number}"
    if not file.exists():
        block = bytearray(os.urandom(MIB))
        with file.open("wb") as out:
            for at in range(size // MIB):
                block[:16] = number.to_bytes(8, "big") + at.to_bytes(8, "big")
                out.write(block)
    return file


class PutLarge(Workload):
    """Four uploads of 256 MiB at a time."""

    unit = "MiB/s"
    size = 256 * MIB

    def run(self, server: Server, setting: Setting) -> Load:
        number, presigner, commands = next(self.round), Presigner(server.account), []
        for at in range(4):
            # Content of its own each time, or a server that deduplicates would look good.
            file = file_of(setting, at, self.size)
            with file.open("r+b") as out:
                for block in range(self.size // MIB):
                    out.seek(block * MIB + 16)
                    out.write(number.to_bytes(8, "big") + id(server).to_bytes(8, "big"))
            url = presigner.url("PUT", f"/{BUCKET}/large/{at}")
            commands.append(["-T", str(file), "-H", "Expect:", url])
        return load.curls(commands, 4, self.size)


class GetLarge(PutLarge):
    """Four downloads of 256 MiB at a time."""

    def prepare(self, server: Server, setting: Setting) -> None:
        PutLarge(self.name).run(server, setting)

    def run(self, server: Server, setting: Setting) -> Load:
        presigner = Presigner(server.account)
        urls = [presigner.url("GET", f"/{BUCKET}/large/{at}") for at in range(4)]
        return load.curls([[url] for url in urls * 2], 4, self.size)


class Multipart(Workload):
    """256 MiB in parts of 8 MiB, four at a time; what is timed ends with the completion."""

    unit = "MiB/s"
    needs_store = True
    part, parts = 8 * MIB, 32

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.completions: dict[str, list[float]] = {}

    def run(self, server: Server, setting: Setting) -> Load:
        number, client, presigner = next(self.round), Client(server.account), Presigner(server.account)
        path = f"/{BUCKET}/multipart/{number}"
        answer, _ = client.call("POST", path, {"uploads": ""})
        upload = re.search(rb"<UploadId>([^<]+)", answer)[1].decode()
        commands = []
        for at in range(1, self.parts + 1):
            file = setting.directory / f"part-{at}"
            file.write_bytes(os.urandom(16) + b"\0" * (self.part - 16))
            url = presigner.url("PUT", path, {"partNumber": str(at), "uploadId": upload})
            commands.append(["-T", str(file), "-H", "Expect:", url])
        done = load.curls(commands, 4, self.part)
        listed, _ = client.call("GET", path, {"uploadId": upload})
        tags = re.findall(rb"<ETag>([^<]+)", listed)
        parts = "".join(
            f"<Part><PartNumber>{at}</PartNumber><ETag>{tag.decode()}</ETag></Part>" for at, tag in enumerate(tags, 1)
        )
        began = time.monotonic()
        body = f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()
        client.call("POST", path, {"uploadId": upload}, body)
        took = time.monotonic() - began
        self.completions.setdefault(server.name, []).append(took * 1e3)
        return Load(1, done.seconds + took, took * 1e3, took * 1e3, self.part * self.parts)

    def remarks(self) -> str:
        """How long completing took."""
        medians = (f"{name} {statistics.median(times):.1f}" for name, times in self.completions.items())
        return "complete, ms: " + ", ".join(medians)


class Copy(Workload):
    """CopyObject of 256 MiB."""

    unit = "ms"
    needs_store = True

    def prepare(self, server: Server, setting: Setting) -> None:
        PutLarge(self.name).run(server, setting)

    def run(self, server: Server, setting: Setting) -> Load:
        client, times = Client(server.account), []
        for at in range(5):
            began = time.monotonic()
            path = f"/{BUCKET}/copied/{next(self.round)}-{at}"
            client.call("PUT", path, headers={"x-amz-copy-source": f"/{BUCKET}/large/0"})
            times.append((time.monotonic() - began) * 1e3)
        return Load(len(times), sum(times) / 1e3, statistics.median(times), max(times))


class Mixed(Workload):
    """warp's mixture of reads, writes and deletes, in a bucket of its own."""

    needs_store = True
    bucket = f"{BUCKET}-mixed"

    def __init__(self, name: str, size: str, connections: int) -> None:
        super().__init__(name)
        self.size, self.connections = size, connections

    def possible(self) -> bool:
        return shutil.which("warp") is not None

    def prepare(self, server: Server, setting: Setting) -> None:
        server.make_bucket(self.bucket)

    def run(self, server: Server, setting: Setting) -> Load:
        return load.warp_mixed(server.account, self.bucket, self.size, self.connections, setting.seconds, server.directory)


class List(Workload):
    """Pages of 1000 keys over four connections, of a bucket with `objects` keys."""

    needs_store = True
    bucket = BUCKET

    def __init__(self, name: str, place: str) -> None:
        super().__init__(name)
        self.place = place

    def prepare(self, server: Server, setting: Setting) -> None:
        filled = server.directory / f"filled-{self.bucket}"
        if not filled.exists():
            self.fill(server, setting)
            # What the filling put twice is collected, which would be measured with the pages.
            server.process.rest()
            filled.touch()

    def fill(self, server: Server, setting: Setting) -> None:
        """Two levels of a thousand keys or fewer: what a delimiter rolls up is one key in a thousand."""
        keys = [f"list/{at // 1000:05d}/{at % 1000:03d}" for at in range(setting.objects)]
        # One prefix with all of them below, and a key behind it.
        Client(server.account).call("PUT", f"/{BUCKET}/m", body=b"")
        self.put(server, keys)

    def put(self, server: Server, keys: list[str]) -> None:
        """Puts small objects, over 64 connections."""
        presigner, done = Presigner(server.account), 0
        lines = [presigner.target("PUT", f"/{self.bucket}/{key}") + "\n" for key in keys]
        file = server.directory / "targets"
        while done < len(lines):
            file.write_text("".join(lines[done:]))
            done += load.wrk(server.account.host, file, "PUT", 32, 64, 10, False).requests

    def query(self, setting: Setting) -> dict[str, str]:
        """Of the page."""
        query = {"list-type": "2", "max-keys": "1000"}
        if self.place != "one prefix":
            query["prefix"] = "list/"
        if self.place == "deep":
            query["start-after"] = f"list/{setting.objects // 2000:05d}/500"
        elif self.place != "first":
            query["delimiter"] = "/"
        return query

    def run(self, server: Server, setting: Setting) -> Load:
        target = Presigner(server.account).target("GET", f"/{self.bucket}", self.query(setting))
        file = server.directory / "targets"
        file.write_text(f"{target}\n" * 8)
        return load.wrk(server.account.host, file, "GET", 0, 4, setting.seconds, True)


class ListVersioned(List):
    """Where versions and delete markers pile up. Peers without versioning fail to prepare it."""

    def prepare(self, server: Server, setting: Setting) -> None:
        self.bucket = f"{BUCKET}-{self.place}"
        super().prepare(server, setting)

    def fill(self, server: Server, setting: Setting) -> None:
        client = Client(server.account)
        client.call("PUT", f"/{self.bucket}")
        status = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
        client.call("PUT", f"/{self.bucket}", {"versioning": ""}, status.encode())
        if self.place == "versions":
            self.put(server, ["key"] * setting.objects)
            return
        # Deleting what never was leaves a delete marker too.
        for start in range(0, setting.objects, 1000):
            names = "".join(f"<Object><Key>a/{at:08d}</Key></Object>" for at in range(start, start + 1000))
            body = f"<Delete><Quiet>true</Quiet>{names}</Delete>".encode()
            digest = base64.b64encode(hashlib.md5(body).digest()).decode()
            client.call("POST", f"/{self.bucket}", {"delete": ""}, body, {"content-md5": digest})
        client.call("PUT", f"/{self.bucket}/live", body=b"")

    def query(self, setting: Setting) -> dict[str, str]:
        if self.place == "versions":
            return {"versions": "", "max-keys": "1000"}
        return {"list-type": "2", "max-keys": "1000"}


ALL: list[Workload] = [
    Put("PUT 4 KiB, 1 connection", 4 * KIB, 1, 6000),
    Put("PUT 4 KiB, 16 connections", 4 * KIB, 16, 30000),
    Put("PUT 4 KiB, 64 connections", 4 * KIB, 64, 30000),
    Get("GET 4 KiB, 1 connection", 4 * KIB, 1, 5000),
    Get("GET 4 KiB, 64 connections", 4 * KIB, 64, 5000),
    Head("HEAD, 64 connections"),
    Put("PUT 1 MiB, 8 connections", MIB, 8, 1500),
    Get("GET 1 MiB, 8 connections", MIB, 8, 200),
    PutLarge("PUT 256 MiB, 4 at a time"),
    GetLarge("GET 256 MiB, 4 at a time"),
    Multipart("multipart 256 MiB in 8 MiB parts, 4 at a time"),
    Copy("CopyObject 256 MiB"),
    Mixed("warp mixed, 256 KiB, 16 connections", "256KiB", 16),
    List("list 1000, first page, 4 connections", "first"),
    List("list 1000, deep page, 4 connections", "deep"),
    List("list with delimiter, 4 connections", "delimiter"),
    List("list: one prefix holds every key, 4 connections", "one prefix"),
    ListVersioned("list versions: every one of one key, 4 connections", "versions"),
    ListVersioned("list: delete markers before the first key, 4 connections", "markers"),
]

# One of each kind, for a first look.
QUICK = frozenset({
    "PUT 4 KiB, 1 connection", "PUT 4 KiB, 64 connections", "GET 4 KiB, 64 connections", "HEAD, 64 connections",
    "PUT 1 MiB, 8 connections", "GET 1 MiB, 8 connections", "PUT 256 MiB, 4 at a time",
    "multipart 256 MiB in 8 MiB parts, 4 at a time", "CopyObject 256 MiB", "list 1000, first page, 4 connections",
})
