"""Load from existing generators: wrk for many small requests, ab for HEAD, curl for large bodies, warp for a mixture.

wrk cannot send HEAD (it waits for a body), and neither it nor ab can stream a large file.
"""

import json
import os
import pathlib
import re
import subprocess
import time
from dataclasses import dataclass

from .sign import Account

SCRIPT = pathlib.Path(__file__).with_name("requests.lua")


@dataclass
class Load:
    """What a generator did: requests, over how many seconds, and their latencies in milliseconds."""

    requests: int
    seconds: float
    p50: float | None = None
    p99: float | None = None
    bytes: int = 0


class Refused(Exception):
    """Requests failed, so there is nothing to compare."""


def wrk(host: str, targets: pathlib.Path, method: str, body: int, connections: int, seconds: float, again: bool) -> Load:
    """Sends the targets one after the other over `connections` connections for `seconds`."""
    threads = min(2, connections)
    argv = ["wrk", f"-t{threads}", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "20s",
            "-s", SCRIPT, f"http://{host}", "--", targets, method, str(body), str(threads), "1" if again else "0"]
    answer = subprocess.run(argv, check=True, capture_output=True, text=True).stdout.splitlines()
    figures = json.loads(answer[-1])
    if figures["errors"]:
        raise Refused(f"{method} against {host}: {figures['errors']} of {figures['requests']} failed")
    moved = figures["requests"] * body if body else figures["bytes"]
    return Load(figures["requests"], figures["seconds"], figures["p50_ms"], figures["p99_ms"], moved)


def head(url: str, connections: int, seconds: float) -> Load:
    """HEAD of one URL, over and over."""
    argv = ["ab", "-q", "-k", "-i", "-c", str(connections), "-t", str(round(seconds)), "-n", "100000000", url]
    answer = subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def field(pattern: str) -> float:
        found = re.search(pattern, answer)
        if not found:
            raise Refused(f"ab said nothing of {pattern}: {answer[-500:]}")
        return float(found[1])

    if "Non-2xx responses" in answer:
        raise Refused(f"HEAD {url.split('?')[0]}: {answer[answer.index('Non-2xx'):][:60]}")
    return Load(
        int(field(r"Complete requests:\s+(\d+)")), field(r"Time taken for tests:\s+([\d.]+)"),
        field(r"50%\s+(\d+)"), field(r"99%\s+(\d+)"),
    )


def curls(commands: list[list[str]], at_once: int, size: int) -> Load:
    """Runs curl for each, `at_once` at a time."""
    waiting, running, began, latencies = list(commands), [], time.monotonic(), []
    while waiting or running:
        while waiting and len(running) < at_once:
            argv = ["curl", "-sS", "--fail", "-o", "/dev/null", "-w", "%{time_total}", *waiting.pop(0)]
            running.append(subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        child = running.pop(0)
        output, errors = child.communicate()
        if child.returncode:
            raise Refused(f"curl: {errors.strip()}")
        latencies.append(float(output) * 1e3)
    latencies.sort()
    seconds = time.monotonic() - began
    return Load(len(commands), seconds, latencies[len(latencies) // 2], latencies[-1], len(commands) * size)


def warp_mixed(account: Account, bucket: str, size: str, connections: int, seconds: float, directory: pathlib.Path) -> Load:
    """warp's own mixture: 45 % GET, 30 % HEAD, 15 % PUT, 10 % DELETE. It empties the bucket before and after."""
    argv = ["warp", "mixed", "--no-color", "--host", account.host, "--bucket", bucket, "--region", account.region,
            "--obj.size", size, "--objects", str(20 * connections), "--concurrent", str(connections),
            "--duration", f"{max(1, round(seconds))}s", "--benchdata", str(directory / "warp")]
    env = os.environ | {"WARP_ACCESS_KEY": account.access_key, "WARP_SECRET_KEY": account.secret_key}
    # The keys are not among its arguments, where every user of the machine could read them.
    done = subprocess.run(argv, capture_output=True, text=True, env=env)
    answer = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", done.stdout + done.stderr)
    total = re.search(r"Report: Total.*?Average: (?:[\d.]+ [KMG]iB/s, )?([\d.]+) obj/s", answer, re.DOTALL)
    total = total or re.search(r"Cluster Total: (?:[\d.]+ [KMG]iB/s, )?([\d.]+) obj/s", answer)
    errors = re.search(r"(?:Errors|errors encountered): *([1-9]\d*)", answer)
    if done.returncode or not total or errors:
        raise Refused(f"warp: {(errors or [answer.strip()[-200:]])[0]}")
    rate = float(total[1])
    return Load(round(rate * seconds), seconds)
