"""Checks the Helm chart without a cluster: with Helm itself, kubeconform, and Kubernetes' own types.

Run by `make manifests`, which installs what this needs. Each file under juststorage/ci is a set of values, rendered for
three versions of Kubernetes. kubeconform takes the JSON schemas of the package kubernetes-validate: they are read there
and not kept here. What schemas cannot see is checked below: a reference from one resource to another, and that alerts
and dashboard are those of this repository.
"""

import json
import pathlib
import re
import subprocess
import sys
import tempfile
import tomllib

import kubernetes_validate
import yaml

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHART = HERE / "juststorage"
# The oldest that Chart.yaml admits, one between, and the newest that there are schemas of.
KUBERNETES = ["1.29.0", "1.33.0", "1.37.0"]
# `chart-check` holds these against their types: there is no JSON schema of them in reach.
CUSTOM = ["HTTPRoute", "ServiceMonitor", "PodMonitor", "PrometheusRule"]
# What the chart can make at all. Each is made by at least one set of values.
KINDS = {*CUSTOM, "ConfigMap", "Deployment", "Ingress", "NetworkPolicy", "Pod", "PodDisruptionBudget", "Secret", "Service", "StatefulSet"}
# Values that must be refused, and a piece of the message.
REFUSED = [
    (["replicas=2"], "/replicas': maximum: got 2, want 1"),
    (["tiers.kind=shared"], "/database/engine': value must be 'postgres'"),
    (["tiers.kind=shared", "database.engine=postgres", "tiers.hot.existingClaim=hot"], "/tiers/cold/existingClaim'"),
    (["tiers.hot.existingClaim=hot"], "/tiers/hot/existingClaim': maxLength"),
    (["tiers.kind=objects", "tiers.hot.url=s3://a/hot", "tiers.cold.url=s3://a/cold"], "/database/engine': value must be 'postgres'"),
    (["tiers.kind=objects", "database.engine=postgres", "tiers.hot.url=s3://a/hot"], "/tiers/cold/url'"),
    (["tiers.hot.url=s3://a/hot"], "/tiers/hot/url': maxLength"),
    (["metrics.serviceMonitor.enabled=true", "metrics.podMonitor.enabled=true"], "/metrics': 'not' failed"),
    (["metrics.serviceMonitor.enabled=true", "metrics.service.enabled=false"], "/metrics/service/enabled': value must be true"),
    (["ingress.enabled=true"], "/ingress': 'anyOf' failed"),
    (["httpRoute.enabled=true", "httpRoute.s3Hosts={s3.example.com}"], "/httpRoute/parentRefs': minItems"),
    (["settings.JUSTSTORAGE_MASTER_KEY=a"], "JUSTSTORAGE_MASTER_KEY"),
    (["settings.data_dir=a"], "data_dir"),
    (["bootstrap.existingSecret=keys"], "/bootstrap/existingSecret': value must be ''"),
    (["bootstrap.file=x", "bootstrap.files.bootstrap\\.toml=y"], "bootstrap.files: bootstrap.toml is bootstrap.file"),
    (["bootstrap.file=x", "settings.JUSTSTORAGE_BOOTSTRAP=/elsewhere"], "settings.JUSTSTORAGE_BOOTSTRAP: the chart sets this itself"),
    (["settings.JUSTSTORAGE_DATA_DIR=/elsewhere"], "settings.JUSTSTORAGE_DATA_DIR: the chart sets this itself"),
    (["existingSecret="], "existingSecret must name a secret with"),
    (["existingSecret=", "secret.s3RootAccessKey=root", "secret.s3RootSecretKey=short"], "/secret/s3RootSecretKey': "),
    (["existingSecret=", "secret.s3RootAccessKey=root", "secret.s3RootSecretKey=sixteen-characters", "database.engine=postgres"],
     "PostgreSQL needs secret.databaseUrl"),
    (["replica=1"], "additional properties 'replica' not allowed"),
    (["tiers.hot.class=fast"], "additional properties 'class' not allowed"),
]

findings = []


def finding(where, what):
    findings.append(f"{where}: {what}")


def run(*command, **options):
    # Helm says of each symbolic link that it follows it.
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    result.stderr = "\n".join(line for line in result.stderr.splitlines() if "symbolic link" not in line)
    return result


def must(where, *command, **options):
    result = run(*command, **options)
    if result.returncode != 0:
        finding(where, f"{command[0]}: {(result.stdout + result.stderr).strip()}")
    return result.stdout


def template(values, version, *further):
    return ["helm", "template", "store", CHART, "--namespace", "storage", "--kube-version", version, "-f", values, *further]


def schemas(folder):
    """The schemas of three versions, with references that kubeconform can follow."""
    source = pathlib.Path(kubernetes_validate.__file__).parent / "kubernetes-json-schema"
    for version in KUBERNETES:
        into = folder / f"v{version}"
        into.mkdir()
        for name in ["_definitions.json", *(f"{kind.lower()}-*v1.json" for kind in KINDS.difference(CUSTOM))]:
            for path in (source / f"v{version}-local-strict").glob(name):
                schema = json.loads(path.read_text().replace('"/api/_definitions.json#', '"_definitions.json#'))
                # Else references would lead to the address that it names, not to the file beside it.
                del schema["$id"]
                (into / path.name).write_text(json.dumps(schema))


def check(values, folder):
    """Renders one set of values for each version and holds it against every schema; the kinds that it makes."""
    must(values.name, "helm", "lint", "--strict", "--quiet", CHART, "-f", values)
    kinds = set()
    for version in KUBERNETES:
        where = f"{values.name}, Kubernetes {version}"
        rendered = must(where, *template(values, version))
        if not rendered:
            continue
        location = f"{folder}/{{{{.NormalizedKubernetesVersion}}}}/{{{{.ResourceKind}}}}{{{{.KindSuffix}}}}.json"
        must(where, "kubeconform", "-strict", "-kubernetes-version", version, "-schema-location", location,
             "-skip", ",".join(CUSTOM), input=rendered)
        must(where, "chart-check", input=rendered)
        resources = [document for document in yaml.safe_load_all(rendered) if document]
        kinds |= {resource["kind"] for resource in resources}
        references(where, resources)
        copies(where, resources)
    return kinds


def references(where, resources):
    """What selects pods, names a port, or names another resource of the chart finds it."""
    named = {(resource["kind"], resource["metadata"]["name"]): resource for resource in resources}
    if len(named) != len(resources):
        finding(where, "two resources have one name")
    store = next(resource for resource in resources if resource["kind"] in ("StatefulSet", "Deployment"))
    pod = store["spec"]["template"]
    labels = pod["metadata"]["labels"].items()
    container = pod["spec"]["containers"][0]
    ports = {port["name"] for port in container["ports"]}
    test = next(resource for resource in resources if resource["kind"] == "Pod")
    for (kind, name), resource in named.items():
        spec = resource.get("spec", {})
        selector = spec.get("podSelector") or spec.get("selector") or {}
        selector = selector.get("matchLabels", selector)
        if kind == "ServiceMonitor":
            services = [other for other in resources if other["kind"] == "Service" and selector.items() <= other["metadata"]["labels"].items()]
            ends = {port["name"] for service in services for port in service["spec"]["ports"]}
            if len(services) != 1 or not {end["port"] for end in spec["endpoints"]} <= ends:
                finding(where, f"ServiceMonitor {name} finds {len(services)} services")
        elif selector:
            if not selector.items() <= labels:
                finding(where, f"{kind} {name} does not select the pods")
            if selector.items() <= test["metadata"]["labels"].items():
                finding(where, f"{kind} {name} selects the pod of `helm test`")
        targets = [port["targetPort"] for port in spec.get("ports", [])]
        targets += [port["port"] for rule in spec.get("ingress", []) for port in rule["ports"]]
        targets += [end["port"] for end in spec.get("podMetricsEndpoints", [])]
        for target in targets:
            if target not in ports:
                finding(where, f"{kind} {name} targets the port {target}, which is not there")
        backends = [path["backend"]["service"] for rule in spec.get("rules", []) for path in rule.get("http", {}).get("paths", [])]
        backends += [backend for rule in spec.get("rules", []) for backend in rule.get("backendRefs", [])]
        for backend in backends:
            port = backend["port"]["name"] if isinstance(backend["port"], dict) else backend["port"]
            service = named.get(("Service", backend["name"]), {"spec": {"ports": []}})
            if port not in {value for known in service["spec"]["ports"] for value in (known["name"], known["port"])}:
                finding(where, f"{kind} {name} leads to {backend['name']}:{port}, which is not there")
    if store["kind"] == "StatefulSet" and ("Service", store["spec"]["serviceName"]) not in named:
        finding(where, "the StatefulSet's service does not exist")
    for source in container["envFrom"]:
        if ("ConfigMap", source["configMapRef"]["name"]) not in named:
            finding(where, f"no config map for {source}")
    own = named.get(("Secret", store["metadata"]["name"]))
    for variable in container["env"] if own else []:
        key = variable["valueFrom"]["secretKeyRef"]
        if key["name"] == own["metadata"]["name"] and key["key"] not in own["stringData"]:
            finding(where, f"the secret lacks {key['key']}")
    volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
    volumes |= {claim["metadata"]["name"] for claim in store["spec"].get("volumeClaimTemplates", [])}
    if volumes != {mount["name"] for mount in container["volumeMounts"]}:
        finding(where, "volumes and mounts differ")
    for volume in pod["spec"].get("volumes", []):
        if "configMap" in volume and ("ConfigMap", volume["configMap"]["name"]) not in named:
            finding(where, f"no config map for the volume {volume['name']}")
    bootstrap = named.get(("ConfigMap", f"{store['metadata']['name']}-bootstrap"))
    mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
    if bootstrap:
        for credential in tomllib.loads(bootstrap["data"]["bootstrap.toml"]).get("credential", []):
            if "secret_key_file" in credential and str(pathlib.Path(credential["secret_key_file"]).parent) not in mounts:
                finding(where, f"{credential['secret_key_file']} is mounted nowhere")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        if container[probe]["httpGet"]["port"] not in ports:
            finding(where, f"{probe} asks a port that is not there")
    settings = named["ConfigMap", store["metadata"]["name"]]["data"]
    ending = sum(int(settings[f"JUSTSTORAGE_SHUTDOWN_{part}"].rstrip("s")) for part in ("DELAY", "GRACE"))
    if pod["spec"]["terminationGracePeriodSeconds"] <= ending:
        finding(where, "pods are killed before their shutdown is over")
    probe = container["readinessProbe"]
    delay = int(settings["JUSTSTORAGE_SHUTDOWN_DELAY"].rstrip("s"))
    if store["kind"] == "Deployment" and delay < probe["periodSeconds"] * probe["failureThreshold"]:
        finding(where, "pods stop before the readiness probe has failed")


def copies(where, resources):
    """Alerts and dashboard are those that are tested, to the byte of their meaning."""
    alerts = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yaml").read_text())
    dashboard = json.loads((ROOT / "deploy/grafana/juststorage.json").read_text())
    for resource in resources:
        if resource["kind"] == "PrometheusRule" and resource["spec"] != alerts:
            finding(where, "PrometheusRule is not deploy/prometheus/alerts.yaml")
        if resource["metadata"]["name"].endswith("-dashboard") and json.loads(resource["data"]["juststorage.json"]) != dashboard:
            finding(where, "the dashboard is not deploy/grafana/juststorage.json")
        if resource["kind"].endswith("Monitor") and resource["spec"]["jobLabel"] != "app.kubernetes.io/name":
            finding(where, "the job would not be juststorage, which the alerts ask for")


def refusals():
    for values, expected in REFUSED:
        given = ["--set", "existingSecret=x", *(part for value in values for part in ("--set", value))]
        result = run(*template(CHART / "values.yaml", KUBERNETES[-1], *given))
        if result.returncode == 0 or expected not in result.stderr:
            finding(" ".join(values), f"must be refused with {expected!r}, not {result.stderr.strip()!r}")


def names():
    """Versions are the program's, and schema, values and documents name the same values."""
    version = tomllib.loads((ROOT / "Cargo.toml").read_text())["workspace"]["package"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    if {chart["version"], chart["appVersion"]} != {version}:
        finding("Chart.yaml", f"version and appVersion must be {version}")
    schema = json.loads((CHART / "values.schema.json").read_text())

    def compare(path, value, about):
        properties = about.get("properties")
        if not isinstance(value, dict) or properties is None:
            return
        for name in sorted(value.keys() ^ (properties.keys() - {"global", "claims"})):
            finding("values.yaml, values.schema.json", f"only one of them has {'.'.join([*path, name])}")
        for name in value.keys() & properties.keys():
            compare([*path, name], value[name], properties[name])

    compare([], yaml.safe_load((CHART / "values.yaml").read_text()), schema)


def documents(folder):
    """Helm's commands in docs/kubernetes.md render, as the chart would be installed; its secret has the chart's keys."""
    text = (ROOT / "docs/kubernetes.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.M | re.S)
    for name, body in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", text, re.M | re.S):
        (folder / name).write_text(body)
    # An installation asks a cluster; `helm template` takes the same arguments, but for `--reuse-values`.
    script = """
        shopt -s expand_aliases
        helm() {
            case $1 in
            install | upgrade) shift; command helm template --kube-version 1.37 "$@" >>rendered ;;
            lint | package | template | show) command helm "$@" ;;
            test) ;;
            *) echo "unknown: helm $*" >&2; return 1 ;;
            esac
        }
        kubectl() { printf '%s\\n' "$*" >>kubectl; }
    """
    (folder / "deploy").symlink_to(ROOT / "deploy")
    result = run("bash", "-euo", "pipefail", "-c", script + "\n".join(blocks), cwd=folder)
    if result.returncode != 0:
        finding("docs/kubernetes.md", (result.stdout + result.stderr).strip())
    rendered = (folder / "rendered").read_text() if (folder / "rendered").exists() else ""
    count = rendered.count("kind: StatefulSet") + rendered.count("kind: Deployment")
    if count < 4:
        finding("docs/kubernetes.md", f"its commands render {count} stores, which is too few: has its form changed?")
    asked = set(re.findall(r"key: ((?:JUSTSTORAGE_|DATABASE_)\w+)", rendered))
    given = set(re.findall(r"--from-literal=(\w+)=", (folder / "kubectl").read_text()))
    for name in sorted(asked ^ given):
        finding("docs/kubernetes.md", f"{name} is put into the secret, or read by the chart, but not both")


with tempfile.TemporaryDirectory() as temporary:
    folder = pathlib.Path(temporary)
    (folder / "schemas").mkdir()
    (folder / "documents").mkdir()
    schemas(folder / "schemas")
    made = set().union(*(check(values, folder / "schemas") for values in sorted(CHART.glob("ci/*.yaml"))))
    for kind in sorted(made ^ KINDS):
        finding("ci", f"{kind} is made by no set of values, or is not known here")
    refusals()
    names()
    documents(folder / "documents")

for line in findings:
    print(line, file=sys.stderr)
print(f"chart: {len(findings)} findings")
sys.exit(1 if findings else 0)
