"""Tables of medians, and how ours compares."""

import statistics
from dataclasses import dataclass, field

from .load import Load
from .servers import Server
from .workloads import Workload


@dataclass
class Cell:
    """The rounds of one workload against one server."""

    figures: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    cpu_ms: list[float] = field(default_factory=list)
    written_per_op: list[float] = field(default_factory=list)
    peak_mib: float = 0.0
    failure: str = ""

    def add(self, workload: Workload, done: Load, cpu: float, written: float, peak: float) -> None:
        """One more round."""
        self.figures.append(workload.figure(done))
        if done.p50 is not None and done.p99 is not None:
            self.p50.append(done.p50)
            self.p99.append(done.p99)
        self.cpu_ms.append(cpu * 1e3 / max(done.requests, 1))
        self.written_per_op.append(written / max(done.requests, 1))
        self.peak_mib = max(self.peak_mib, peak)

    def median(self, name: str) -> float | None:
        """The median over the rounds."""
        values = getattr(self, name)
        return statistics.median(values) if values else None

    def as_json(self) -> dict:
        """Everything, for a file."""
        return self.__dict__


def number(value: float | None) -> str:
    """Three digits that matter."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def heads(running: list[Server], durable: dict[str, str]) -> str:
    """How each server runs, and what it waits for before it answers a put of 4 KiB."""
    lines = ["\nservers: how they run; system calls that wait for the disk, for each put of 4 KiB"]
    for each in running:
        counted = f"; {durable.get(each.name, 'not counted')}" if each.kind != "limit" else ""
        lines.append(f"  {each.name:16}{each.note}{counted}")
    return "\n".join(lines)


def table(workload: Workload, cells: dict[str, Cell], kinds: dict[str, str]) -> str:
    """One workload: a line for each server."""
    lines = [f"\n{workload.name} ({workload.unit})",
             f"  {'':16}{'median':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms/op':>11}{'peak MiB':>10}{'KiB out/op':>12}"]
    for name, cell in cells.items():
        if cell.failure:
            lines.append(f"  {name:16}{cell.failure[:90]}")
            continue
        columns = [number(cell.median(field)) for field in ("figures", "p50", "p99", "cpu_ms")]
        columns += [number(cell.peak_mib), number((cell.median("written_per_op") or 0) / 1024)]
        widths = (10, 10, 10, 11, 10, 12)
        lines.append(f"  {name:16}" + "".join(f"{text:>{width}}" for text, width in zip(columns, widths)))
    lines.extend(ratios(workload, cells, kinds))
    return "\n".join(lines)


def ratios(workload: Workload, cells: dict[str, Cell], kinds: dict[str, str]) -> list[str]:
    """Ours against the best complete store, against plain files, and against the limit. Above 1 is better."""
    lines = []
    medians = {name: cell.median("figures") for name, cell in cells.items() if cell.figures}
    less = workload.unit == "ms"
    for name, figure in medians.items():
        if kinds[name] != "ours" or not figure:
            continue
        parts = []
        for kind, label in (("peer", "best peer"), ("plain", "s3s-fs"), ("limit", "nginx")):
            others = {other: value for other, value in medians.items() if kinds[other] == kind and value}
            if others:
                best = (min if less else max)(others, key=others.__getitem__)
                ratio = others[best] / figure if less else figure / others[best]
                parts.append(f"{ratio:.2f} x {label}" + (f" ({best})" if kind == "peer" else ""))
        if parts:
            lines.append(f"  {name}: " + ", ".join(parts))
    return lines


def pages(workloads: list[Workload], results: dict[str, dict[str, Cell]]) -> str:
    """How much dearer the dearest page of a listing is than the cheapest, for each server that listed them all."""
    names = [each.name for each in workloads if getattr(each, "place", "") in ("first", "deep", "delimiter")]
    if len(names) < 2:
        return ""
    lines = ["\npages of a listing, the first one's figure over the others' (1: they cost the same)"]
    for server in results[names[0]]:
        figures = {name: results[name][server].median("figures") for name in names if server in results[name]}
        known = {name: figure for name, figure in figures.items() if figure}
        if len(known) < len(names):
            continue
        first = known[names[0]]
        each = ", ".join(f"{name.split(',')[1 if 'page' in name else 0].strip()} {first / known[name]:.2f}" for name in names[1:])
        lines.append(f"  {server:16}{each}; dearest over cheapest {max(known.values()) / min(known.values()):.2f}")
    return "\n".join(lines)


def page(
    workloads: list[Workload], results: dict[str, dict[str, Cell]], kinds: dict[str, str], durable: dict[str, str]
) -> str:
    """The table "Against peers" of docs/PERFORMANCE.md, as this run fills it. A ratio above 1: ours is faster."""
    counted = "; ".join(f"{name}: {calls}" for name, calls in durable.items())
    lines = [f"Calls that wait for the disk, for each put of 4 KiB (strace): {counted}.", ""] if counted else []
    lines += ["| workload | SQLite | PostgreSQL | best peer | ratio |", "|---|---|---|---|---|"]
    for workload in workloads:
        medians = {name: cell.median("figures") for name, cell in results[workload.name].items() if cell.figures}
        less = workload.unit == "ms"
        ours, peers = medians.get("juststorage"), {n: m for n, m in medians.items() if kinds[n] == "peer" and m}
        best = (min if less else max)(peers, key=peers.__getitem__) if peers else None
        ratio = (peers[best] / ours if less else ours / peers[best]) if best and ours else None

        def shown(figure: float | None, unit: str = workload.unit) -> str:
            return f"{number(figure)} {unit}" if figure else ""

        peer = f"{shown(peers[best])} ({best})" if best else ""
        text = "" if ratio is None else f"{ratio:.2f}" if ratio >= 1 else f"**{ratio:.2f}**"
        lines.append(f"| {workload.name} | {shown(ours)} | {shown(medians.get('juststorage-pg'))} | {peer} | {text} |")
    return "\n".join(lines) + "\n"
