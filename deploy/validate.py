"""Checks everything under deploy/ without a cluster or a container engine.

Run by `make manifests`, which installs what this needs. Each manifest is held against the schema of its kind,
for the oldest and the newest Kubernetes we mean to run on; what schemas cannot see (a reference from one file
to another) is checked here.
"""

import json
import pathlib
import re
import subprocess
import sys

import compose_spec
import kubernetes_validate
import yaml

DEPLOY = pathlib.Path(__file__).resolve().parent
TOOLS = pathlib.Path(sys.executable).parent
KUBERNETES = ["1.29", "1.37"]
METRIC = re.compile(r"\bactivestorage_[a-z_]+")

findings = []


def finding(where, what):
    findings.append(f"{where}: {what}")


def run(*command):
    result = subprocess.run([str(part) for part in command], cwd=DEPLOY, capture_output=True, text=True)
    if result.returncode != 0:
        finding(command[0], (result.stdout + result.stderr).strip())


def kubernetes():
    folder = DEPLOY / "kubernetes"
    kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
    files = [*kustomization["resources"], "secret.example.yaml"]
    present = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
    for name in sorted(present ^ set(files)):
        finding("kustomization.yaml", f"{name} is listed or present, but not both")

    resources = {}
    for name in present & set(files):
        for document in yaml.safe_load_all((folder / name).read_text()):
            for version in KUBERNETES:
                try:
                    kubernetes_validate.validate(document, version, strict=True)
                except Exception as error:  # the library's own, and jsonschema's
                    finding(f"kubernetes/{name}", f"for {version}: {error}")
            resources[document["kind"], document["metadata"]["name"]] = document
    references(resources, kustomization)


def references(resources, kustomization):
    """What the StatefulSet names exists, and what selects its pods does."""
    stateful = resources["StatefulSet", "juststorage"]["spec"]
    pod = stateful["template"]
    labels = pod["metadata"]["labels"].items()
    ports = set()
    for container in pod["spec"]["containers"]:
        ports |= {port["name"] for port in container["ports"]}
        for source in container["envFrom"]:
            if ("ConfigMap", source["configMapRef"]["name"]) not in resources:
                finding("statefulset.yaml", f"no config map for {source}")
        for variable in container["env"]:
            key = variable["valueFrom"]["secretKeyRef"]
            secret = resources.get(("Secret", key["name"]))
            if secret is None or key["key"] not in secret["stringData"]:
                finding("secret.example.yaml", f"lacks {key['key']}")
        claims = {claim["metadata"]["name"] for claim in stateful["volumeClaimTemplates"]}
        if claims != {mount["name"] for mount in container["volumeMounts"]}:
            finding("statefulset.yaml", "volume claims and mounts differ")
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            if container[probe]["httpGet"]["port"] not in ports:
                finding("statefulset.yaml", f"{probe} asks a port that is not there")
        if container["image"] not in {image["name"] for image in kustomization["images"]}:
            finding("kustomization.yaml", f"does not set the image {container['image']}")
    if ("Service", stateful["serviceName"]) not in resources:
        finding("statefulset.yaml", "its service does not exist")
    for (kind, name), resource in resources.items():
        spec = resource.get("spec", {})
        selector = spec.get("selector", {})
        selector = selector.get("matchLabels", selector)
        if kind in ("Service", "PodDisruptionBudget", "StatefulSet") and not selector.items() <= labels:
            finding(name, f"{kind} does not select the pods")
        for port in spec.get("ports", []):
            if port["targetPort"] not in ports:
                finding(name, f"{kind} targets the port {port['targetPort']}, which is not there")
    grace = int(resources["ConfigMap", "juststorage"]["data"]["JUSTSTORAGE_SHUTDOWN_GRACE"].rstrip("s"))
    if pod["spec"]["terminationGracePeriodSeconds"] <= grace:
        finding("statefulset.yaml", "pods are killed before their shutdown grace is over")


def compose():
    text = (DEPLOY / "compose.yaml").read_text()
    names = set(re.findall(r"\$\{(\w+)", text))
    example = set(re.findall(r"^(\w+)=", (DEPLOY / "env.example").read_text(), re.M))
    for name in sorted(names ^ example):
        finding("compose.yaml", f"{name} is used or in env.example, but not both")
    # The parser knows types, not interpolation, so it gets the file as it is once the variables are set.
    interpolated = re.sub(r"\$\{\w+(?:(:-)([^}]*)|:\?[^}]*)?\}", lambda m: m[2] if m[1] else "0", text)
    try:
        compose_spec.PyCompose.from_yaml(interpolated).validate()
    except Exception as error:
        finding("compose.yaml", error)


def dashboards():
    """Every panel asks something, and only for metrics that docs/monitoring.md explains."""
    documented = set(METRIC.findall((DEPLOY.parent / "docs/monitoring.md").read_text()))
    alerts = yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
    asked = [("alerts.yaml", rule["expr"]) for group in alerts["groups"] for rule in group["rules"]]
    dashboard = json.loads((DEPLOY / "grafana/juststorage.json").read_text())
    for panel in dashboard["panels"]:
        if not panel["targets"]:
            finding("juststorage.json", f"{panel['title']} asks nothing")
        asked += [(f"juststorage.json, {panel['title']}", target["expr"]) for target in panel["targets"]]
    for where, expression in asked:
        for metric in METRIC.findall(expression):
            if metric not in documented and re.sub(r"_(bucket|sum|count)$", "", metric) not in documented:
                finding(where, f"{metric} is not in docs/monitoring.md")


kubernetes()
compose()
dashboards()
run(TOOLS / "hadolint", "--failure-threshold", "info", "Dockerfile")
run("promtool", "check", "rules", "prometheus/alerts.yaml")
run("promtool", "test", "rules", "prometheus/alerts.test.yaml")

for line in findings:
    print(line, file=sys.stderr)
print(f"deploy: {len(findings)} findings")
sys.exit(1 if findings else 0)
