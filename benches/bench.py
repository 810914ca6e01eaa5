#!/usr/bin/env python3
"""Runs the same workloads against our server and every peer that is installed, in turns, and compares.

Only the server that is being measured runs: the others are stopped (SIGSTOP) meanwhile. Everything is on this
machine, client and server on the same cores. It asserts nothing: timings are no tests.
"""

import argparse
import json
import pathlib
import platform
import shutil
import sys
import tempfile
import time

from harness import machine, report, servers, workloads
from harness.load import Refused
from harness.sign import Failed


def arguments() -> argparse.Namespace:
    """What is to be run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [server.name for server in servers.ALL]
    parser.add_argument("--servers", nargs="*", choices=names, help="default: every one that is installed")
    parser.add_argument("--only", default="", help="workloads whose name holds this; several with |")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=5, help="of each round of a small-object workload")
    parser.add_argument("--objects", type=int, default=100_000, help="keys in the bucket that is listed")
    parser.add_argument("--directory", help="where the servers keep their data")
    parser.add_argument("--json", default="target/bench.json")
    return parser.parse_args()


def measure(workload, server, setting, cell) -> None:
    """One round against one server."""
    process = server.process
    process.forget_peak()
    cpu, written = process.cpu_seconds(), process.bytes_written()
    done = workload.run(server, setting)
    cell.add(workload, done, process.cpu_seconds() - cpu, process.bytes_written() - written, process.peak_memory())


def main() -> int:
    """Everything, one workload after the other."""
    args = arguments()
    wanted = [s for s in servers.ALL if (s.name in args.servers if args.servers else s.installed())]
    missing = sorted({s.name for s in servers.ALL if not s.installed()})
    chosen = [w for w in workloads.ALL if any(part in w.name for part in args.only.split("|"))]
    base = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=args.directory))
    base.chmod(0o755)
    setting = workloads.Setting(args.seconds, args.objects, base)
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {platform.machine()}, {machine_name()}; not installed: {missing or 'none'}")
    p50, p99 = machine.append_and_sync(base)
    print(f"machine: append 4 KiB and fdatasync p50 {p50:.2f} ms, p99 {p99:.2f} ms; "
          f"sequential write with one sync {machine.sequential_write(base):.0f} MiB/s", flush=True)
    running, results, all_cells, kinds = [], {}, {}, {}
    try:
        for server in wanted:
            running.append(server(base / server.name))
            running[-1].process.pause()
        kinds = {server.name: server.kind for server in running}
        for workload in chosen:
            cells = {s.name: report.Cell() for s in running if not (workload.needs_store and s.kind == "limit")}
            for round_ in range(-1, args.rounds):
                for server in running:
                    cell = cells.get(server.name)
                    if cell is None or cell.failure:
                        continue
                    server.process.resume()
                    try:
                        if round_ < 0:
                            workload.prepare(server, setting)
                        else:
                            measure(workload, server, setting, cell)
                    except (Refused, Failed, OSError) as error:
                        cell.failure = f"{type(error).__name__}: {error}"
                    server.process.pause()
            print(report.table(workload, cells, kinds), flush=True)
            if hasattr(workload, "remarks"):
                print("  " + workload.remarks(), flush=True)
            all_cells[workload.name] = cells
            results[workload.name] = {name: cell.as_json() for name, cell in cells.items()}
        if compared := report.pages(chosen, all_cells):
            print(compared, flush=True)
    finally:
        for server in running:
            server.stop()
        shutil.rmtree(base, ignore_errors=True)
    out = pathlib.Path(args.json)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text(report.page([w for w in chosen if w.name in all_cells], all_cells, kinds))
    out.write_text(json.dumps({"at": time.strftime("%FT%TZ", time.gmtime()), "workloads": results}, indent=1))
    return 0


def machine_name() -> str:
    """The processor, as the kernel names it."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
