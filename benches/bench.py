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
import subprocess
import sys
import tempfile
import time

from harness import machine, peers, remote, report, syncs, workloads
from harness.load import Refused
from harness.process import DidNotStart
from harness.servers import Server
from harness.sign import Failed


# Ours with a tier in a peer goes beside the peers.
ALL = [*peers.ALL, *remote.ALL]


def arguments() -> argparse.Namespace:
    """What is to be run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [server.name for server in ALL]
    parser.add_argument("--servers", nargs="*", choices=names, help="default: every one that is installed")
    parser.add_argument("--only", default="", help="workloads whose name holds this; several with |")
    parser.add_argument("--quick", action="store_true", help="one round of one workload of each kind, in under five minutes")
    parser.add_argument("--rounds", type=int, help="default: 3, or 1 with --quick")
    parser.add_argument("--seconds", type=float, help="of each round of a small-object workload; default: 5, or 2 with --quick")
    parser.add_argument("--objects", type=int, help="keys in the bucket that is listed; default: 100000, or 10000 with --quick")
    parser.add_argument("--directory", help="where the servers keep their data")
    parser.add_argument("--json", default="target/bench.json")
    args = parser.parse_args()
    args.rounds = args.rounds or (1 if args.quick else 3)
    args.seconds = args.seconds or (2 if args.quick else 5)
    args.objects = args.objects or (10_000 if args.quick else 100_000)
    return args


def wanted(args: argparse.Namespace) -> list[type[Server]]:
    """The servers that were asked for, or all that can be started here."""
    if args.servers:
        return [server for server in ALL if server.name in args.servers]
    return [server for server in ALL if server.installed() and not (args.quick and server.variant)]


def chosen(args: argparse.Namespace) -> list[workloads.Workload]:
    """The workloads that were asked for, and whose load generator is there."""
    named = [each for each in workloads.ALL if any(part in each.name for part in args.only.split("|"))]
    named = [each for each in named if not args.quick or args.only or each.name in workloads.QUICK]
    for each in named:
        if not each.possible():
            print(f"left out, its load generator is not installed: {each.name}")
    return [each for each in named if each.possible()]


def start(args: argparse.Namespace, base: pathlib.Path, running: list[Server]) -> None:
    """Each server, stopped until its turn. One that does not start is reported, and the others go on."""
    for server in wanted(args):
        try:
            running.append(server(base / server.name))
        except (DidNotStart, Failed, OSError, subprocess.CalledProcessError) as error:
            print(f"left out, it did not start: {server.name}: {error}", flush=True)
            continue
        running[-1].process.pause()


def measure(workload, server, setting, cell) -> None:
    """One round against one server."""
    process = server.process
    process.forget_peak()
    cpu, written = process.cpu_seconds(), process.bytes_written()
    done = workload.run(server, setting)
    cell.add(workload, done, process.cpu_seconds() - cpu, process.bytes_written() - written, process.peak_memory())


def main() -> int:
    """Everything, one workload after the other."""
    args, began = arguments(), time.monotonic()
    missing = sorted({s.name for s in ALL if not s.installed()})
    selected = chosen(args)
    base = pathlib.Path(tempfile.mkdtemp(prefix="bench-", dir=args.directory))
    base.chmod(0o755)
    setting = workloads.Setting(args.seconds, args.objects, base)
    print(f"{time.strftime('%Y-%m-%d %H:%M')}, {platform.machine()}, {machine_name()}; not installed: {missing or 'none'}")
    p50, p99 = machine.append_and_sync(base)
    print(f"machine: append 4 KiB and fdatasync p50 {p50:.2f} ms, p99 {p99:.2f} ms; "
          f"sequential write with one sync {machine.sequential_write(base):.0f} MiB/s", flush=True)
    running, results, all_cells = [], {}, {}
    try:
        start(args, base, running)
        kinds = {server.name: server.kind for server in running}
        durable = durability(running)
        print(report.heads(running, durable), flush=True)
        for workload in selected:
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
                    except (Refused, Failed, OSError, subprocess.CalledProcessError) as error:
                        cell.failure = f"{type(error).__name__}: {error}"
                    server.process.pause()
            print(report.table(workload, cells, kinds), flush=True)
            if hasattr(workload, "remarks"):
                print("  " + workload.remarks(), flush=True)
            all_cells[workload.name] = cells
            results[workload.name] = {name: cell.as_json() for name, cell in cells.items()}
        if compared := report.pages(selected, all_cells):
            print(compared, flush=True)
    finally:
        for server in running:
            server.stop()
        shutil.rmtree(base, ignore_errors=True)
    out = pathlib.Path(args.json)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".md").write_text(report.page([w for w in selected if w.name in all_cells], all_cells, kinds, durable))
    out.write_text(json.dumps({"at": time.strftime("%FT%TZ", time.gmtime()), "durability": durable, "workloads": results}, indent=1))
    print(f"\ntook {(time.monotonic() - began) / 60:.1f} minutes")
    return 0


def durability(running: list[Server]) -> dict[str, str]:
    """What each server waits for in a put of 4 KiB, as strace counts it. Limits have no bucket to put into."""
    if not syncs.possible():
        return {}
    counted = {}
    for server in running:
        if server.kind == "limit":
            continue
        server.process.resume()
        try:
            counted[server.name] = syncs.of_puts(server)
        except (Failed, OSError) as error:
            counted[server.name] = f"not counted ({error})"
        server.process.pause()
    return counted


def machine_name() -> str:
    """The processor, as the kernel names it."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


if __name__ == "__main__":
    sys.exit(main())
