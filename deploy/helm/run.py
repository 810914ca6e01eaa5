"""Runs the pod of the chart without a cluster: the binary with the rendered environment, its probes, the commands of
`helm test` against it, and SIGTERM within the time that the pod gets.

Usage: run.py --bin PROGRAM. `compat-tests/tests/chart.rs` runs it; `scripts/prepare tools chart` installs what it needs.
"""

import argparse
import http.client
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time

import yaml

CHART = pathlib.Path(__file__).resolve().parent / "juststorage"
SECRET = {"JUSTSTORAGE_S3_ROOT_ACCESS_KEY": "root", "JUSTSTORAGE_S3_ROOT_SECRET_KEY": "a-secret-of-this-run"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def render():
    command = ["helm", "template", "store", str(CHART), "-f", str(CHART / "ci/directory-values.yaml")]
    rendered = subprocess.run(command, capture_output=True, text=True)
    if rendered.returncode != 0:
        raise SystemExit(rendered.stderr)
    documents = [document for document in yaml.safe_load_all(rendered.stdout) if document]
    return {(document["kind"], document["metadata"]["name"]): document for document in documents}


def environment(container, settings, ports, directory):
    """The container's variables, with its paths below `directory` and its ports replaced by free ones."""
    variables = dict(settings)
    for variable in container["env"]:
        key = variable["valueFrom"]["secretKeyRef"]
        if key["key"] not in SECRET and not key.get("optional"):
            raise SystemExit(f"the pod needs {key['key']}, which no secret gives it")
        if key["key"] in SECRET:
            variables[variable["name"]] = SECRET[key["key"]]
    for mount in container["volumeMounts"]:
        (directory / mount["name"]).mkdir()
        for name, value in variables.items():
            variables[name] = value.replace(f"file://{mount['mountPath']}/", f"file://{directory / mount['name']}/")
            if value == mount["mountPath"]:
                variables[name] = str(directory / mount["name"])
    for port in container["ports"]:
        for name, value in variables.items():
            if value == f"0.0.0.0:{port['containerPort']}":
                variables[name] = f"0.0.0.0:{ports[port['name']]}"
    return variables


def get(port, path):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def probe(server, container, name, ports):
    """Asks as the kubelet does, as often as it does."""
    about = container[name]
    for _ in range(about["failureThreshold"]):
        if get(ports[about["httpGet"]["port"]], about["httpGet"]["path"]) == 200:
            return
        if server.poll() is not None:
            raise SystemExit(f"the server ended with {server.returncode}")
        time.sleep(about["periodSeconds"])
    raise SystemExit(f"{name} failed {about['failureThreshold']} times")


def tested(program, tester, service, ports):
    """The line of a container of `helm test`, whose entry point is the program. The service by its name, and its ports,
    are what a cluster would resolve."""
    if "command" in tester:
        raise SystemExit("the image has nothing but the program, which is its entry point")
    line = [program]
    for argument in tester["args"]:
        for port in service:
            argument = argument.replace(f"//store-juststorage:{port['port']}/", f"//127.0.0.1:{ports[port['targetPort']]}/")
        line.append(argument)
    if "store-juststorage" in " ".join(line):
        raise SystemExit(f"helm test asks for what the service does not have: {line}")
    return line


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", required=True)
    program = parser.parse_args().bin
    resources = render()
    pod = resources["StatefulSet", "store-juststorage"]["spec"]["template"]["spec"]
    container = pod["containers"][0]
    service = resources["Service", "store-juststorage"]["spec"]["ports"]
    ports = {port["name"]: free_port() for port in container["ports"]}
    with tempfile.TemporaryDirectory() as temporary:
        directory = pathlib.Path(temporary)
        settings = resources["ConfigMap", "store-juststorage"]["data"]
        variables = environment(container, settings, ports, directory)
        with open(directory / "log", "w") as log:
            server = subprocess.Popen([program], env={"PATH": os.environ["PATH"], **variables}, cwd=directory, stdout=log, stderr=log)
        try:
            for name in ("startupProbe", "livenessProbe", "readinessProbe"):
                probe(server, container, name, ports)
            for tier in ("hot/hot", "cold/segments"):
                if not (directory / tier / "juststorage-tier.json").exists():
                    raise SystemExit(f"the {tier} tier does not lie on its volume")
            monitored = resources["Service", "store-juststorage-metrics"]["spec"]["ports"][0]["targetPort"]
            if get(ports[monitored], "/metrics") != 200:
                raise SystemExit("the port of the metrics service has no metrics")
            tests = [tested(program, tester, service, ports) for tester in resources["Pod", "store-juststorage-test"]["spec"]["containers"]]
            if len(tests) != len(service):
                raise SystemExit(f"helm test asks {len(tests)} ports, and the service has {len(service)}")
            for command in tests:
                test = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60)
                print(test.stdout, end="")
                if test.returncode != 0:
                    raise SystemExit(f"helm test would fail: {test.stdout}{test.stderr}")
            server.terminate()
            code = server.wait(timeout=pod["terminationGracePeriodSeconds"])
            if code != 0:
                raise SystemExit(f"after SIGTERM the pod ended with {code}")
            # And it does fail where nothing answers.
            for command in tests:
                if subprocess.run(command, env={}, capture_output=True, timeout=60).returncode == 0:
                    raise SystemExit(f"helm test passes without a store: {command}")
        except BaseException:
            print((directory / "log").read_text()[-4000:], file=sys.stderr)
            raise
        finally:
            server.kill()
            server.wait()
    print("the pod runs")


main()
