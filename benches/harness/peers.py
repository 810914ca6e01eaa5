"""How the peers are started, with their own defaults, and nginx as a limit. A peer that is not installed is left out."""

import json
import secrets
import subprocess

from . import preload
from .process import Process, free_port
from .servers import JustStorage, JustStoragePostgres, Server
from .sign import Account


class WithoutDelay(Server):
    """A server that does not set TCP_NODELAY, with a library that does."""

    variant = True

    @classmethod
    def installed(cls) -> bool:
        return super().installed() and preload.possible()

    def environment(self) -> dict[str, str]:
        return preload.without_delay(self.directory)


class Garage(Server):
    """Garage with its defaults: LMDB, no fsync."""

    name = "garage"
    note = "LMDB"
    program = "garage"
    options = 'db_engine = "lmdb"'

    def environment(self) -> dict[str, str]:
        """Beside its configuration."""
        return {}

    def start(self) -> tuple[Process, Account]:
        s3, rpc = free_port(), free_port()
        config = self.directory / "garage.toml"
        config.write_text(
            f'metadata_dir = "{self.directory}/meta"\ndata_dir = "{self.directory}/data"\n{self.options}\n'
            f'replication_factor = 1\nrpc_bind_addr = "127.0.0.1:{rpc}"\nrpc_public_addr = "127.0.0.1:{rpc}"\n'
            f'rpc_secret = "{secrets.token_hex(32)}"\n'
            f'[s3_api]\ns3_region = "us-east-1"\napi_bind_addr = "127.0.0.1:{s3}"\n'
        )
        env = {"RUST_LOG": "warn"} | self.environment()
        process = self.launch([self.program, "-c", str(config), "server"], s3, env)
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

    def make_bucket(self, name: str) -> None:
        self.run("bucket", "create", name)
        self.run("bucket", "allow", "--read", "--write", "--owner", name, "--key", self.account.access_key)


class GarageDurable(Garage):
    """Garage with fsync, for a comparison of like with like."""

    variant = True
    name = "garage-fsync"
    note = "LMDB, fsync on"
    options = 'db_engine = "lmdb"\nmetadata_fsync = true\ndata_fsync = true'


class GarageWithoutDelay(WithoutDelay, Garage):
    """Garage with TCP_NODELAY, without which its small answers wait 44 ms for an acknowledgement."""

    name = "garage-nodelay"
    note = "LMDB, TCP_NODELAY preloaded"


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
        return self.launch(argv, port, env), Account(f"127.0.0.1:{port}", "juststorage", "juststorage")


class Seaweed(Server):
    """SeaweedFS, all its parts in one process."""

    name = "seaweedfs"
    note = "all its parts in one process"
    program = "weed"

    def start(self) -> tuple[Process, Account]:
        s3 = free_port()
        identity = {"name": "bench", "credentials": [{"accessKey": "juststorage", "secretKey": "juststorage"}],
                    "actions": ["Admin", "Read", "Write", "List", "Tagging"]}
        config = self.directory / "s3.json"
        config.write_text(json.dumps({"identities": [identity]}))
        (self.directory / "data").mkdir()
        argv = [self.program, "server", f"-dir={self.directory}/data", "-ip=127.0.0.1", "-s3",
                f"-s3.port={s3}", f"-s3.config={config}", "-volume.max=100", "-master.volumeSizeLimitMB=1024",
                # Their ports are fixed unless they are off: of two servers on one machine the second would end.
                "-s3.port.iceberg=0", "-s3.port.lance=0"]
        argv.extend(f"-{part}.port={free_port()}" for part in ("master", "volume", "filer"))
        return self.launch(argv, s3), Account(f"127.0.0.1:{s3}", "juststorage", "juststorage")


class RustFs(Server):
    """RustFS on one directory."""

    name = "rustfs"
    note = "one directory"
    program = "rustfs"

    def start(self) -> tuple[Process, Account]:
        port = free_port()
        (self.directory / "data").mkdir()
        argv = [self.program, "server", "--address", f"127.0.0.1:{port}", str(self.directory / "data")]
        env = {"RUSTFS_ACCESS_KEY": "juststorage", "RUSTFS_SECRET_KEY": "juststorage", "RUSTFS_CONSOLE_ENABLE": "false",
               "RUSTFS_OBS_LOGGER_LEVEL": "warn", "RUSTFS_OBS_LOG_DIRECTORY": str(self.directory / "logs")}
        return self.launch(argv, port, env), Account(f"127.0.0.1:{port}", "juststorage", "juststorage")


class Versity(Server):
    """versitygw over plain files. Without `--keep-alive` it closes each connection after its answer."""

    name = "versitygw"
    kind = "plain"
    note = "plain files, --keep-alive"
    program = "versitygw"

    def start(self) -> tuple[Process, Account]:
        port = free_port()
        (self.directory / "data").mkdir()
        argv = [self.program, "--port", f"127.0.0.1:{port}", "--access", "juststorage", "--secret", "juststorage",
                "--keep-alive", "--quiet", "posix", str(self.directory / "data")]
        return self.launch(argv, port), Account(f"127.0.0.1:{port}", "juststorage", "juststorage")


class S3sFs(Server):
    """Plain files behind the same protocol layer as ours; no metadata kept, nothing synced."""

    name = "s3s-fs"
    kind = "plain"
    note = "plain files"
    program = "s3s-fs"

    def environment(self) -> dict[str, str]:
        """Beside its configuration."""
        return {}

    def start(self) -> tuple[Process, Account]:
        port = free_port()
        (self.directory / "data").mkdir()
        argv = [self.program, "--host", "127.0.0.1", "--port", str(port), "--access-key", "juststorage",
                "--secret-key", "juststorage", str(self.directory / "data")]
        env = {"RUST_LOG": "off"} | self.environment()
        return self.launch(argv, port, env), Account(f"127.0.0.1:{port}", "juststorage", "juststorage")


class S3sFsWithoutDelay(WithoutDelay, S3sFs):
    """s3s-fs with TCP_NODELAY, for the same reason as Garage."""

    name = "s3s-fs-nodelay"
    note = "plain files, TCP_NODELAY preloaded"


class Nginx(Server):
    """What HTTP and the kernel cost: sendfile for reads, DAV for writes, no signature, no fsync."""

    name = "nginx"
    kind = "limit"
    note = "sendfile, DAV"
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
        return self.launch(argv, port), Account(f"127.0.0.1:{port}", "none", "none")

    def make_bucket(self, name: str) -> None:
        pass


ALL: list[type[Server]] = [
    JustStorage, JustStoragePostgres, Minio, Seaweed, RustFs, Garage, GarageWithoutDelay, GarageDurable, Versity, S3sFs,
    S3sFsWithoutDelay, Nginx,
]
