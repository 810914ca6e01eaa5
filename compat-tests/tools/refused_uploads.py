"""Whoever sends a large body that is refused is told why, over HTTP/1.1 and HTTP/2: by curl, and by httpx, which sends the whole body before it
reads the answer."""

import json
import os
import subprocess

import httpx

URL, READER, WRITER = os.environ["NATIVE_URL"], os.environ["READER"], os.environ["WRITER"]
BYTES = os.urandom(8 << 20)
JSON = b'"' + b"a" * (2 << 20) + b'"'
PUT = "/v1/objects/by-key/%s/default/k"
REFUSALS = [
    ("PUT", PUT % "demo", "nothing", BYTES, 401, "unauthenticated"),
    ("PUT", PUT % "demo", READER, BYTES, 403, "forbidden"),
    ("PUT", PUT % "UPPER", WRITER, BYTES, 400, "invalid_namespace"),
    ("PUT", PUT % "demo", WRITER, BYTES, 507, "storage_full"),
    ("POST", "/v1/presign", WRITER, JSON, 413, "body_too_large"),
    ("PUT", "/v1/nowhere", WRITER, BYTES, 404, "path_not_found"),
    ("PUT", "/v1/objects", WRITER, BYTES, 405, "method_not_allowed"),
]


def curl(option, method, path, headers, body):
    lines = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
    command = ["curl", "-sS", option, "-X", method, "--data-binary", "@-", *lines, "-w", "\n%{http_code} %{http_version}", URL + path]
    ran = subprocess.run(command, input=body, capture_output=True)
    assert ran.returncode == 0, (path, ran.stderr)
    answer, _, told = ran.stdout.rpartition(b"\n")
    status, version = told.decode().split()
    assert version == ("2" if "2" in option else "1.1"), version
    return int(status), json.loads(answer)["code"]


for method, path, token, body, status, code in REFUSALS:
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for option in ("--http1.1", "--http2-prior-knowledge"):
        found = curl(option, method, path, headers, body)
        assert found == (status, code), (option, method, path, found)
    for http2 in (False, True):
        # A connection that was refused one upload serves the next request.
        with httpx.Client(http1=not http2, http2=http2, timeout=60) as client:
            for _ in range(2):
                answer = client.request(method, URL + path, headers=headers, content=body)
                assert answer.http_version == ("HTTP/2" if http2 else "HTTP/1.1")
                assert (answer.status_code, answer.json()["code"]) == (status, code), (method, path, answer.text)
            assert client.get(URL + "/health").status_code == 200
