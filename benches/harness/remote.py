"""Ours with its hot tier in an object store, SeaweedFS on the same machine, behind a line of a given delay."""

import os
import shutil

from .peers import Seaweed
from .process import Process, free_port
from .servers import JustStorage, Server
from .sign import Account, Client


# Of the build: what makes the way to a server longer.
PROXY = os.environ.get("JUSTSTORAGE_BENCH_PROXY", "target/release/delay-proxy")


def farther(server: Server, host: str, milliseconds: int) -> str:
    """Where `host` answers so much later. The line there is the server's, and ends with it."""
    port = free_port()
    near = f"127.0.0.1:{port}"
    server.launch([os.path.abspath(PROXY), near, host, str(milliseconds)], port)
    return near


class JustStorageRemote(JustStorage):
    """Everything lies in the peer's bucket; metadata is in SQLite, durable."""

    name = "remote"
    note = "SQLite; hot tier in SeaweedFS"
    kind = "ours"
    variant = True
    delay = 0

    @classmethod
    def installed(cls) -> bool:
        return super().installed() and Seaweed.installed() and shutil.which(PROXY) is not None

    def environment(self) -> dict[str, str]:
        self.peer = Seaweed(self.directory / "peer")
        self.started.extend(self.peer.started)
        Client(self.peer.account).call("PUT", "/tiers")
        host = self.peer.account.host
        if self.delay:
            host = farther(self, host, self.delay)
        return {
            "JUSTSTORAGE_HOT_URL": "s3://tiers/hot",
            "JUSTSTORAGE_HOT_AWS_ENDPOINT": f"http://{host}",
            "JUSTSTORAGE_HOT_AWS_ACCESS_KEY_ID": self.peer.account.access_key,
            "JUSTSTORAGE_HOT_AWS_SECRET_ACCESS_KEY": self.peer.account.secret_key,
        }

    def start(self) -> tuple[Process, Account]:
        process, account = super().start()
        self.process = process
        return process, account


class JustStorageRemote10(JustStorageRemote):
    """With 10 ms on each answer of the peer."""

    name = "remote-10ms"
    note = "SQLite; hot tier in SeaweedFS, 10 ms away"
    delay = 10


class JustStorageRemote30(JustStorageRemote):
    """With 30 ms on each answer of the peer."""

    name = "remote-30ms"
    note = "SQLite; hot tier in SeaweedFS, 30 ms away"
    delay = 30


ALL: list[type[JustStorage]] = [JustStorageRemote, JustStorageRemote10, JustStorageRemote30]
