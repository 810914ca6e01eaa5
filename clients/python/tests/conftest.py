"""A server of the binary that JUSTSTORAGE_BIN names, with an empty store."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest

from juststorage import Store


@dataclass
class Server:
    url: str
    token: str | None = None


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _serve(directory: pathlib.Path, required: bool) -> Iterator[Server]:
    program = os.environ["JUSTSTORAGE_BIN"]
    port = _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "JUSTSTORAGE_DATA_DIR": str(directory / "data"),
        "JUSTSTORAGE_NATIVE_ADDR": f"127.0.0.1:{port}",
        "JUSTSTORAGE_S3_ADDR": "127.0.0.1:0",
        "JUSTSTORAGE_AUTH": "required" if required else "disabled",
    }
    with open(directory / "log", "w") as log:
        process = subprocess.Popen([program], env=environment, cwd=directory, stdout=log, stderr=log)
    try:
        server = Server(f"http://127.0.0.1:{port}")
        limit = time.monotonic() + 60
        while True:
            try:
                if httpx.get(f"{server.url}/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            assert process.poll() is None and time.monotonic() < limit, (directory / "log").read_text()
            time.sleep(0.05)
        if required:
            command = [program, "key", "create", "--kind", "api", "--tenant", "acme", "--rights", "read", "--json"]
            made = subprocess.run(command, env=environment, cwd=directory, capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
            server.token = _token(made.stdout)
        yield server
    finally:
        process.terminate()
        assert process.wait(60) == 0


def _token(printed: str) -> str:
    import json

    return str(json.loads(printed)["token"])


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    yield from _serve(tmp_path_factory.mktemp("open"), required=False)


@pytest.fixture(scope="session")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that wants credentials, and a token that may only read."""
    yield from _serve(tmp_path_factory.mktemp("guarded"), required=True)


@pytest.fixture
def namespace() -> str:
    """A space of the test's own."""
    return f"n-{uuid.uuid4().hex}"


@pytest.fixture
def store(server: Server) -> Iterator[Store]:
    with Store(server.url) as store:
        yield store
