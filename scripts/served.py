"""A server under test, and the database behind it: what the runners of other people's suites share."""

import contextlib
import glob
import http.client
import json
import os
import pathlib
import pwd
import signal
import socket
import ssl
import subprocess
import sys
import time

REGION = "us-east-1"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Postgres:
    """A throw-away cluster in `directory`."""

    def __init__(self, directory):
        found = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: float(path.split("/")[4]))
        self.programs = found[-1] + "/" if found else ""
        self.directory, self.port = directory, free_port()
        # The server refuses to run as root.
        self.user = None
        if os.getuid() == 0:
            names = {entry.pw_name for entry in pwd.getpwall()}
            self.user = "postgres" if "postgres" in names else "nobody"
            os.chown(directory, pwd.getpwnam(self.user).pw_uid, -1)

    def run(self, program, *arguments):
        subprocess.run(
            [self.programs + program, *map(str, arguments)], user=self.user, cwd=self.directory,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
        )

    def __enter__(self):
        data = self.directory / "data"
        self.run("initdb", "--pgdata", data, "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8",
                 "--no-sync", "--username=juststorage")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -k {self.directory}"
        self.run("pg_ctl", "--pgdata", data, "--wait", "--log", self.directory / "log", "-o", options, "start")
        return f"postgres://juststorage@127.0.0.1:{self.port}/postgres"

    def __exit__(self, *_):
        self.run("pg_ctl", "--pgdata", self.directory / "data", "--mode=immediate", "--wait", "stop")


class Server:
    """The binary, serving `directory` with `settings` beside its addresses and data."""

    def __init__(self, binary, directory, database_url, log, settings, region=REGION):
        self.binary, self.log, self.port, self.region = binary, log, free_port(), region
        native = free_port()
        unset = {name for name in os.environ if name.startswith("JUSTSTORAGE_") or name == "DATABASE_URL"}
        self.environment = {name: value for name, value in os.environ.items() if name not in unset}
        self.environment |= settings | {
            "JUSTSTORAGE_REGION": region,
            "JUSTSTORAGE_DATA_DIR": str(directory),
            "JUSTSTORAGE_NATIVE_ADDR": f"127.0.0.1:{native}",
            "JUSTSTORAGE_S3_ADDR": f"127.0.0.1:{self.port}",
        }
        if database_url:
            self.environment["DATABASE_URL"] = database_url

    def __enter__(self):
        with open(self.log, "w") as log:
            self.process = subprocess.Popen(
                [self.binary, "serve"], env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                connection = self.connection()
                connection.request("GET", "/")
                connection.getresponse()
                return self
            time.sleep(0.05)
        sys.exit(f"the server does not answer:\n{pathlib.Path(self.log).read_text()}")

    def connection(self):
        """A connection to the S3 address; the certificate of a test is taken as it is."""
        if "JUSTSTORAGE_TLS_CERT" not in self.environment:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=5, context=unverified)

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            sys.exit("the server did not stop within a minute")
        if code != 0:
            sys.exit(f"the server ended with {code}; see {self.log}")

    def key(self, tenant):
        """An access key and a secret key of a tenant."""
        made = subprocess.run(
            [self.binary, "key", "create", "--kind", "s3", "--tenant", tenant, "--json",
             "--rights", "read,write,delete,admin"],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, check=True,
        )
        key = json.loads(made.stdout)
        return key["access_key"], key["secret_key"]
