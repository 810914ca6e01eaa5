"""Checks what deploy/ has for one machine and for watching, without a container engine.

Run by `make manifests`, which installs what this needs, as deploy/helm/validate.py for the Helm chart.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile

import compose_spec
import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent
TOOLS = pathlib.Path(sys.executable).parent
METRIC = re.compile(r"\bactivestorage_[a-z_]+")
# Of a histogram's series.
BASE = re.compile(r"_(bucket|sum|count)$")
TABLE = re.compile(r"^\| `(activestorage_\w+)` \|", re.M)

findings = []


def finding(where, what):
    findings.append(f"{where}: {what}")


def run(*command):
    result = subprocess.run([str(part) for part in command], cwd=DEPLOY, capture_output=True, text=True)
    if result.returncode != 0:
        finding(command[0], (result.stdout + result.stderr).strip())


def compose(name):
    text = (DEPLOY / name).read_text()
    names = set(re.findall(r"\$\{(\w+)", text))
    example = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.M))
    for variable in sorted(names ^ example):
        finding(name, f"{variable} is used or in env.example, but not both")
    # The parser knows types, not interpolation, so it gets the file as it is once the variables are set.
    interpolated = re.sub(r"\$\{\w+(?:(:-)([^}]*)|:\?[^}]*)?\}", lambda m: m[2] if m[1] else "0", text)
    try:
        compose_spec.PyCompose.from_yaml(interpolated).validate()
    except Exception as error:
        finding(name, error)


def dashboards():
    """Every panel asks something that PromQL understands, and only for metrics that docs/monitoring.md explains; every
    metric of its table has a panel."""
    documented = set(METRIC.findall((DEPLOY.parent / "docs/monitoring.md").read_text()))
    alerts = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
    asked = [("alerts.yaml", rule["expr"]) for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((DEPLOY / "grafana/juststorage.json").read_text())
    for panel in dashboard["panels"]:
        if not panel["targets"]:
            finding("juststorage.json", f"{panel['title']} asks nothing")
        asked += [(f"juststorage.json, {panel['title']}", target["expr"]) for target in panel["targets"]]
    # promtool reads expressions in rules only, and no variables.
    rules = [{"record": f"panel:{n}", "expr": re.sub(r"\[\$\w+\]", "[5m]", expr)} for n, (_, expr) in enumerate(asked)]
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}, file)
        file.flush()
        run("promtool", "check", "rules", "--lint=none", file.name)
    shown = {name for _, expression in asked for found in METRIC.findall(expression) for name in (found, BASE.sub("", found))}
    for metric in sorted(TABLE.findall((DEPLOY.parent / "docs/monitoring.md").read_text())):
        if metric not in shown:
            finding("juststorage.json", f"{metric} has no panel")
    for where, expression in asked:
        for metric in METRIC.findall(expression):
            if metric not in documented and BASE.sub("", metric) not in documented:
                finding(where, f"{metric} is not in docs/monitoring.md")


compose("compose.yaml")
compose("compose.replicas.yaml")
dashboards()
run(TOOLS / "hadolint", "--failure-threshold", "info", "Dockerfile")
run("promtool", "check", "rules", "prometheus/alerts.yaml")
run("promtool", "test", "rules", "prometheus/alerts.test.yaml")

for line in findings:
    print(line, file=sys.stderr)
print(f"deploy: {len(findings)} findings")
sys.exit(1 if findings else 0)
