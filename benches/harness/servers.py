"""How a server is started and ended, and ours on both databases; `peers` has the others."""

import os
import pathlib
import pwd
import shutil
import subprocess
import time

from .process import Process, free_port
from .sign import Account, Client, Failed

BUCKET = "bench"


# How long a server may answer that it is not ready, in seconds.
PATIENCE = 60


class Server:
    """A running server with an empty bucket. If it cannot be had, nothing that it started goes on running."""

    # What it is called in tables, what has to be installed, whether it is a complete store.
    name = ""
    program = ""
    kind = "peer"
    note = ""
    # Another way to run a server that is measured anyway.
    variant = False

    def __init__(self, directory: pathlib.Path) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.started: list[Process] = []
        try:
            self.process, self.account = self.start()
            self.prepare()
        except BaseException:
            self.stop()
            raise

    @classmethod
    def installed(cls) -> bool:
        """Whether it can be started here."""
        return shutil.which(cls.program) is not None

    def start(self) -> tuple[Process, Account]:
        raise NotImplementedError

    def launch(self, argv: list[str], port: int, env: dict[str, str] | None = None) -> Process:
        """A program of this server, which ends with it."""
        self.started.append(Process(argv, port, self.directory, env))
        return self.started[-1]

    def make_bucket(self, name: str) -> None:
        """One more bucket."""
        Client(self.account).call("PUT", f"/{name}")

    def prepare(self) -> None:
        """Makes the bucket, as soon as the server is ready to: some listen long before, and answer 503."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.make_bucket(BUCKET)
                return
            except (Failed, OSError) as error:
                refused = isinstance(error, Failed) and error.status < 500
                if refused or time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def stop(self) -> None:
        """Ends it and removes its data."""
        for process in reversed(self.started):
            process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


class JustStorage(Server):
    """Ours, with its own defaults: every sync is made."""

    name = "juststorage"
    kind = "ours"
    note = "SQLite, durable"
    program = os.environ.get("JUSTSTORAGE_BENCH_BINARY", "target/release/juststorage")

    def environment(self) -> dict[str, str]:
        return {}

    def start(self) -> tuple[Process, Account]:
        native, s3 = free_port(), free_port()
        self.native = f"127.0.0.1:{native}"
        env = {
            "JUSTSTORAGE_DATA_DIR": str(self.directory / "data"),
            "JUSTSTORAGE_NATIVE_ADDR": self.native,
            "JUSTSTORAGE_S3_ADDR": f"127.0.0.1:{s3}",
            "RUST_LOG": os.environ.get("RUST_LOG", "warn"),
        } | self.environment()
        process = self.launch([os.path.abspath(self.program), "serve"], s3, env)
        return process, Account(f"127.0.0.1:{s3}", "juststorage", "juststorage")


class JustStoragePostgres(JustStorage):
    """Ours over a PostgreSQL of its own, whose CPU time and memory count."""

    name = "juststorage-pg"
    note = "PostgreSQL, durable"

    def environment(self) -> dict[str, str]:
        self.cluster = Postgres(self.directory / "postgres")
        self.started.append(self.cluster.process)
        return {"DATABASE_URL": self.cluster.url, "JUSTSTORAGE_MASTER_KEY": "00" * 32}

    def start(self) -> tuple[Process, Account]:
        process, account = super().start()
        database = self.cluster.process
        own = process.pids
        process.pids = lambda: own() + database.pids()
        return process, account


class Postgres:
    """A cluster with its own defaults, reached over its socket."""

    def __init__(self, directory: pathlib.Path) -> None:
        directory.mkdir()
        tools = max(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        prefix = []
        if os.geteuid() == 0:
            # PostgreSQL does not run as root.
            os.chown(directory, pwd.getpwnam("postgres").pw_uid, -1)
            for parent in (directory, *directory.parents):
                parent.chmod(parent.stat().st_mode | 0o111)
            prefix = ["runuser", "-u", "postgres", "--"]
        data, port = directory / "data", free_port()
        subprocess.run(
            [*prefix, tools / "initdb", "-A", "trust", "-U", "postgres", "-D", data],
            check=True, stdout=subprocess.DEVNULL, cwd=directory,
        )
        argv = [*prefix, str(tools / "postgres"), "-D", str(data), "-p", str(port), "-k", str(directory)]
        self.process = Process(argv, port, directory)
        self.url = f"postgres://postgres@127.0.0.1:{port}/postgres"
