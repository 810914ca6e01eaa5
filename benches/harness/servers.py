"""How each server is started: ours on both databases, its peers with their own defaults, and nginx as a limit."""

import json
import os
import pathlib
import pwd
import secrets
import shutil
import subprocess

from .process import Process, free_port
from .sign import Account, Client

BUCKET = "bench"


class Server:
    """A running server with an empty bucket."""

    # What it is called in tables, what has to be installed, whether it is a complete store.
    name = ""
    program = ""
    kind = "peer"
    note = ""

    def __init__(self, directory: pathlib.Path) -> None:
        directory.mkdir(parents=True)
        self.directory = directory
        self.process, self.account = self.start()
        self.prepare()

    @classmethod
    def installed(cls) -> bool:
        """Whether it can be started here."""
        return shutil.which(cls.program) is not None

    def start(self) -> tuple[Process, Account]:
        raise NotImplementedError

    def prepare(self) -> None:
        """Makes the bucket."""
        Client(self.account).call("PUT", f"/{BUCKET}")

    def stop(self) -> None:
        """Ends it and removes its data."""
        self.process.stop()
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
            "RUST_LOG": "warn",
        } | self.environment()
        process = Process([os.path.abspath(self.program), "serve"], s3, self.directory, env)
        return process, Account(f"127.0.0.1:{s3}", "juststorage", "juststorage")


class JustStoragePostgres(JustStorage):
    """Ours over a PostgreSQL of its own, whose CPU time and memory count."""

    name = "juststorage-pg"
    note = "PostgreSQL, durable"

    def environment(self) -> dict[str, str]:
        self.cluster = Postgres(self.directory / "postgres")
        return {"DATABASE_URL": self.cluster.url, "JUSTSTORAGE_MASTER_KEY": "00" * 32}

    def start(self) -> tuple[Process, Account]:
        process, account = super().start()
        database = self.cluster.process
        own = process.pids
        process.pids = lambda: own() + database.pids()
        return process, account

    def stop(self) -> None:
        self.process.stop()
        self.cluster.process.stop()
        shutil.rmtree(self.directory, ignore_errors=True)


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


class Garage(Server):
    """Garage with its defaults: LMDB, no fsync."""

    name = "garage"
    note = "LMDB, no fsync"
    program = "garage"
    options = 'db_engine = "lmdb"'

    def start(self) -> tuple[Process, Account]:
        s3, rpc = free_port(), free_port()
        config = self.directory / "garage.toml"
        config.write_text(
            f'metadata_dir = "{self.directory}/meta"\ndata_dir = "{self.directory}/data"\n{self.options}\n'
            f'replication_factor = 1\nrpc_bind_addr = "127.0.0.1:{rpc}"\nrpc_public_addr = "127.0.0.1:{rpc}"\n'
            f'rpc_secret = "{secrets.token_hex(32)}"\n'
            f'[s3_api]\ns3_region = "us-east-1"\napi_bind_addr = "127.0.0.1:{s3}"\n'
        )
        env = {"RUST_LOG": "warn"}
        process = Process([self.program, "-c", str(config), "server"], s3, self.directory, env)
        self.command = [self.program, "-c", str(config)]
        node = self.run("node", "id", "-q").split("@")[0].strip()
        self.run("layout", "assign", "-z", "here", "-c", "100G", node)
        self.run("layout", "apply", "--version", "1")
        key = {}
        for line in self.run("key", "create", "bench").splitlines():
            label, _, value = line.partition(":")
            key[label.strip()] = value.strip()
        return process, Account(f"127.0.0.1:{s3}", key["Key ID"], key["Secret key"])

    def run(self, *arguments: str) -> str:
        return subprocess.run([*self.command, *arguments], check=True, capture_output=True, text=True).stdout

    def prepare(self) -> None:
        self.run("bucket", "create", BUCKET)
        self.run("bucket", "allow", "--read", "--write", "--owner", BUCKET, "--key", self.account.access_key)


class GarageDurable(Garage):
    """Garage with fsync, for a comparison of like with like."""

    name = "garage-fsync"
    note = "LMDB, fsync on"
    options = 'db_engine = "lmdb"\nmetadata_fsync = true\ndata_fsync = true'


class Minio(Server):
    """MinIO on one directory."""

    name = "minio"
    note = "one directory"
    program = "minio"

    def start(self) -> tuple[Process, Account]:
        port = free_port()
        argv = [self.program, "server", str(self.directory / "data"), "--address", f"127.0.0.1:{port}",
                "--console-address", f"127.0.0.1:{free_port()}"]
        env = {"MINIO_ROOT_USER": "juststorage", "MINIO_ROOT_PASSWORD": "juststorage", "MINIO_UPDATE": "off"}
        return Process(argv, port, self.directory, env), Account(f"127.0.0.1:{port}", "juststorage", "juststorage")


class Seaweed(Server):
    """SeaweedFS, all its parts in one process."""

    name = "seaweedfs"
    note = "no fsync"
    program = "weed"

    def start(self) -> tuple[Process, Account]:
        s3 = free_port()
        identity = {"name": "bench", "credentials": [{"accessKey": "juststorage", "secretKey": "juststorage"}],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config = self.directory / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        (self.directory / "data").mkdir()
        argv = [self.program, "server", f"-dir={self.directory}/data", "-ip=127.0.0.1", "-s3",
                f"-s3.port={s3}", f"-s3.config={config}", "-volume.max=100", "-master.volumeSizeLimitMB=1024"]
        for part in ("master", "volume", "filer"):
            # Their gRPC ports are these plus 10000.
            port = free_port()
            while port > 50000:
                port = free_port()
            argv.append(f"-{part}.port={port}")
        return Process(argv, s3, self.directory), Account(f"127.0.0.1:{s3}", "juststorage", "juststorage")


class S3sFs(Server):
    """Plain files behind the same protocol layer as ours; no metadata kept, nothing synced."""

    name = "s3s-fs"
    kind = "plain"
    note = "plain files, no fsync"
    program = "s3s-fs"

    def start(self) -> tuple[Process, Account]:
        port = free_port()
        (self.directory / "data").mkdir()
        argv = [self.program, "--host", "127.0.0.1", "--port", str(port), "--access-key", "juststorage",
                "--secret-key", "juststorage", str(self.directory / "data")]
        env = {"RUST_LOG": "off"}
        return Process(argv, port, self.directory, env), Account(f"127.0.0.1:{port}", "juststorage", "juststorage")


class Nginx(Server):
    """What HTTP and the kernel cost: sendfile for reads, DAV for writes, no signature, no fsync."""

    name = "nginx"
    kind = "limit"
    note = "sendfile, DAV, no fsync"
    program = "nginx"

    def start(self) -> tuple[Process, Account]:
        port = free_port()
        for directory in ("data", "body", "logs"):
            (self.directory / directory).mkdir()
            (self.directory / directory).chmod(0o777)
        for parent in (self.directory, *self.directory.parents):
            parent.chmod(parent.stat().st_mode | 0o111)
        config = self.directory / "nginx.conf"
        config.write_text(
            f"worker_processes 2;\ndaemon off;\npid {self.directory}/pid;\nerror_log {self.directory}/logs/error;\n"
            "events { worker_connections 4096; }\nhttp { access_log off; sendfile on; tcp_nopush on; tcp_nodelay on;\n"
            "keepalive_requests 100000000; client_max_body_size 0; client_body_buffer_size 16k;\n"
            f"client_body_temp_path {self.directory}/body;\n"
            f"server {{ listen 127.0.0.1:{port}; root {self.directory}/data;\n"
            "location / { dav_methods PUT DELETE MKCOL; create_full_put_path on; } } }\n"
        )
        argv = [self.program, "-c", str(config), "-p", str(self.directory)]
        return Process(argv, port, self.directory), Account(f"127.0.0.1:{port}", "none", "none")

    def prepare(self) -> None:
        pass


ALL: list[type[Server]] = [
    JustStorage, JustStoragePostgres, Garage, GarageDurable, Minio, Seaweed, S3sFs, Nginx,
]
