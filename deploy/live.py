"""Holds alerts, dashboard and the metrics' own texts against a live server.

Usage: live.py URL. Every series that an alert asks for exists before anything happened, every series that a panel asks
for once a request was answered, and every metric has HELP and TYPE. `compat-tests/tests/watching.rs` runs it.
"""

import json
import pathlib
import re
import sys
import urllib.request

import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent
# These come with an event that a test of a few seconds does not have.
LATER = {
    "activestorage_jwks_fetched_timestamp_seconds",
    "activestorage_scrub_finished_timestamp_seconds",
    # With a tier for small objects in an object store.
    "activestorage_pack_write_seconds_bucket",
    "activestorage_small_packs",
    # With the declaration of a target.
    "activestorage_outbox_rows",
    "activestorage_outbox_lag_seconds",
    "activestorage_outbox_delivered_total",
    "activestorage_outbox_failures_total",
    "activestorage_outbox_dropped_total",
    "activestorage_outbox_refused_total",
}
SELECTOR = re.compile(r"(activestorage_\w+)(?:\{([^}]*)\})?")
LINE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")

findings = []


def scrape(url):
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as answer:
        return answer.read().decode()


def series(text):
    """(name, labels) of every sample."""
    found = []
    for line in text.splitlines():
        if line and not line.startswith("#"):
            name, labels, _ = LINE.fullmatch(line).groups()
            found.append((name, dict(re.findall(r'(\w+)="([^"]*)"', labels or ""))))
    return found


def missing(expression, present):
    """Selectors of an expression that no series answers."""
    for name, matchers in SELECTOR.findall(expression):
        wanted = re.findall(r'(\w+)(=~|!=|!~|=)"([^"]*)"', matchers)
        for other, labels in present:
            # The scraper adds the job; a variable of the dashboard stands for anything.
            tests = [(labels.get(label, ""), kind, value) for label, kind, value in wanted if label != "job" and "$" not in value]
            if other == name and all(fits(*test) for test in tests):
                break
        else:
            if name not in LATER:
                yield f"{name}{{{matchers}}}"


def fits(found, kind, value):
    return {"=": found == value, "!=": found != value, "=~": bool(re.fullmatch(value, found)), "!~": not re.fullmatch(value, found)}[kind]


def main():
    (url,) = sys.argv[1:]
    text = scrape(url)
    alerts = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
    # The first scrape is itself the first request.
    text, first = scrape(url), text
    asked = 0
    for rule in (rule for group in alerts["groups"] for rule in group["rules"]):
        asked += 1
        present = series(text if "requests_total[" in rule["expr"] else first)
        findings.extend(f"{rule['alert']}: no {what} before its first event" for what in missing(rule["expr"], present))

    put = urllib.request.Request(
        f"{url}/v1/objects/by-key/live/default/k", data=b"x", method="PUT", headers={"Content-Type": "text/plain"}
    )
    with urllib.request.urlopen(put, timeout=30):
        pass
    text = scrape(url)
    present = series(text)
    for panel in json.loads((DEPLOY / "grafana/juststorage.json").read_text())["panels"]:
        for target in panel["targets"]:
            asked += 1
            findings.extend(f"panel {panel['title']}: no {what}" for what in missing(target["expr"], present))
    for kind in ("HELP", "TYPE"):
        told = set(re.findall(rf"^# {kind} (\w+) \S", text, re.M))
        for name in sorted({re.sub(r"_(bucket|sum|count)$", "", name) for name, _ in present} - told):
            findings.append(f"{name} has no {kind}")
    for line in findings:
        print(line, file=sys.stderr)
    print(f"live: {asked} expressions, {len(present)} series, {len(findings)} findings")
    return 1 if findings or asked < 50 else 0


sys.exit(main())
