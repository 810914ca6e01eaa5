"""What the machine itself can do, measured in the same run."""

import os
import pathlib
import statistics
import time


def append_and_sync(directory: pathlib.Path, seconds: float = 2.0) -> tuple[float, float]:
    """Median and 99th percentile in ms of an append of 4 KiB with fdatasync."""
    file = directory / "sync"
    times, block = [], os.urandom(4096)
    with file.open("ab", buffering=0) as out:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            began = time.monotonic()
            out.write(block)
            os.fdatasync(out.fileno())
            times.append((time.monotonic() - began) * 1e3)
    file.unlink()
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def sequential_write(directory: pathlib.Path, mib: int = 512) -> float:
    """MiB/s of a large file with one sync at its end."""
    file, block = directory / "sequential", os.urandom(1 << 20)
    began = time.monotonic()
    with file.open("wb", buffering=0) as out:
        for _ in range(mib):
            out.write(block)
        os.fdatasync(out.fileno())
    took = time.monotonic() - began
    file.unlink()
    return mib / took
