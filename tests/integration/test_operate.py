"""What deploy/ gives to those who run a gateway, held against the gateway and the tools that read it: alerts, dashboard, compose file,
Kubernetes manifests, systemd unit, kernel settings, the publisher of the compose file.

Each tool that is not installed is named where its test is skipped; `deploy/setup operate` installs them.
"""
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse

import systemd_unit
from certificates import Authority
from client import PATIENCE, Ended, TooLate, Ws, fetch
from gateway import KEY, RINGCAST, ROOT, Gateway, environment, free_port

DEPLOY = os.path.join(ROOT, "deploy")
ADMIN_KEY = "admin-key-of-the-operating-test"
METRIC = re.compile(r"\b(?:ringcast|process)_[a-z0-9_]+\b")


def needs(tool, package=None):
    return unittest.skipUnless(shutil.which(tool), f"{tool} (package {package or tool}) is not installed")


def needs_module(name, package):
    return unittest.skipUnless(importlib.util.find_spec(name), f"{package} is not installed")


def text_of(*path):
    with open(os.path.join(DEPLOY, *path), encoding="utf-8") as file:
        return file.read()


def yaml_of(*path):
    import yaml
    return list(yaml.safe_load_all(text_of(*path)))


def tool(*command):
    return subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)


def expressions_of(dashboard):
    """(panel's title, expression) with the variables filled in."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"].replace("$job", "ringcast").replace("$instance", ".*").replace("$__rate_interval", "10s")


class PrometheusTest(unittest.TestCase):
    @needs("promtool", "prometheus")
    def test_alerts_do_what_their_tests_say(self):
        for command in (("check", "rules", "prometheus/alerts.yml"), ("test", "rules", "prometheus/alerts_test.yml"), ("check", "config", "--syntax-only", "prometheus/prometheus.yml")):
            with self.subTest(command):
                done = tool("promtool", *command)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_every_alert_is_tried(self):
        alerts = re.findall(r"- alert: (\w+)", text_of("prometheus", "alerts.yml"))
        tried = text_of("prometheus", "alerts_test.yml")
        for alert in alerts:
            fires = re.findall(rf"alertname: {alert}\n +exp_alerts:", tried)
            silent = re.findall(rf"alertname: {alert}}}", tried)
            self.assertTrue(fires and silent, alert)

    def test_every_metric_that_is_asked_for_is_there(self):
        with Authority() as authority:
            certificate, key = authority.issue("server")  # without one there is no row of its end
            with Gateway("--shards", "1", "--tls-listen", f"127.0.0.1:{free_port()}", "--cert", certificate, "--key", key, key=None) as gateway:
                page = gateway.fetch("GET", "/metrics").body.decode()
        there = {re.split(r"[ {]", line)[0] for line in page.splitlines() if not line.startswith("#")}
        for path in (("prometheus", "alerts.yml"), ("grafana", "ringcast.json")):
            asked = set(METRIC.findall(text_of(*path))) - {"process_", "ringcast_"}
            self.assertGreater(len(asked), 10)
            self.assertEqual(asked - there, set(), path)

    @needs("prometheus")
    def test_the_dashboard_and_the_alerts_work_on_a_gateway_that_is_scraped(self):
        dashboard = json.loads(text_of("grafana", "ringcast.json"))
        with tempfile.TemporaryDirectory() as folder, Gateway("--shards", "2", "--auth.admin-key", ADMIN_KEY) as gateway, Ws(gateway.port, "/v1/ws?topics=watched") as ws:
            ws.read()
            config = text_of("prometheus", "prometheus.yml")
            for was, becomes in (("gateway:8080", f"127.0.0.1:{gateway.port}"), ("scrape_interval: 5s", "scrape_interval: 1s"), ("evaluation_interval: 15s", "evaluation_interval: 1s")):
                self.assertIn(was, config)
                config = config.replace(was, becomes)
            for name, text in (("prometheus.yml", config), ("alerts.yml", text_of("prometheus", "alerts.yml")), ("ringcast-admin-key", ADMIN_KEY)):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text)
            port = free_port()
            with open(os.path.join(folder, "said"), "w+", encoding="utf-8") as said:
                prometheus = subprocess.Popen(["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data", f"--web.listen-address=127.0.0.1:{port}"],
                                              stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment())
                try:
                    self.asked(port, gateway, dashboard)
                except AssertionError:
                    said.seek(0)
                    sys.stderr.write(said.read()[-2000:])
                    raise
                finally:
                    prometheus.terminate()
                    prometheus.wait()

    def asked(self, port, gateway, dashboard):
        def ask(path):
            answer = fetch(port, "GET", path)
            self.assertEqual(answer.status, 200, answer)
            return answer.json()["data"]

        def query(expression):
            return ask("/api/v1/query?query=" + urllib.parse.quote(expression))["result"]

        deadline = time.monotonic() + 6 * PATIENCE
        while True:  # until there are rates, and rules have been judged
            gateway.publish("watched", 1)
            try:
                rules = [rule for group in ask("/api/v1/rules")["groups"] for rule in group["rules"]]
                if query("rate(ringcast_updates_published_total[10s]) > 0") and all(rule["health"] != "unknown" for rule in rules):
                    break
            except (OSError, Ended, TooLate, AssertionError):
                pass
            self.assertLess(time.monotonic(), deadline, "nothing was scraped")
            time.sleep(0.2)  # between two looks
        self.assertEqual({rule["name"]: rule["health"] for rule in rules if rule["health"] != "ok"}, {})
        self.assertEqual(query('up{job="ringcast"}')[0]["value"][1], "1")
        for title, expression in expressions_of(dashboard):
            with self.subTest(title, expression=expression):
                result = query(expression)
                if not expression.endswith("> 0"):  # those show nothing where nothing happened
                    self.assertTrue(result)


class DashboardTest(unittest.TestCase):
    def test_panels_stand_beside_each_other_and_name_their_source(self):
        dashboard = json.loads(text_of("grafana", "ringcast.json"))
        places, ids = set(), set()
        for panel in dashboard["panels"]:
            at = panel["gridPos"]
            cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            self.assertFalse(cells & places or panel["id"] in ids or at["x"] + at["w"] > 24, panel["title"])
            places |= cells
            ids.add(panel["id"])
            if panel["type"] != "row":
                self.assertEqual(panel["datasource"]["uid"], "${datasource}")
                refs = [target["refId"] for target in panel["targets"]]
                self.assertEqual(len(refs), len(set(refs)))
        self.assertEqual([variable["name"] for variable in dashboard["templating"]["list"]], ["datasource", "job", "instance"])


@needs_module("yaml", "python3-yaml")
class ComposeTest(unittest.TestCase):
    def setUp(self):
        (self.compose,) = yaml_of("compose.yaml")

    def test_every_file_that_is_mounted_is_there_and_every_service_gives_up_its_rights(self):
        for name, service in self.compose["services"].items():
            for volume in service.get("volumes", ()):
                source = volume.split(":")[0]
                if source.startswith("./"):
                    self.assertTrue(os.path.isfile(os.path.join(DEPLOY, source)), source)
                    self.assertTrue(volume.endswith(":ro"), volume)
                else:
                    self.assertIn(source, self.compose["volumes"])
            self.assertEqual(service["cap_drop"], ["ALL"], name)
            self.assertIn("no-new-privileges:true", service["security_opt"], name)
            for port in service.get("ports", ()):
                self.assertRegex(port, r"^127\.0\.0\.1:\d+:\d+$", "only for this machine, until somebody decides otherwise")
            for entry in service.get("configs", ()):
                self.assertIn(entry["source"], self.compose["configs"])

    def test_the_gateway_runs_under_the_profile_with_settings_that_there_are(self):
        gateway = self.compose["services"]["gateway"]
        (profile,) = [option.removeprefix("seccomp:") for option in gateway["security_opt"] if option.startswith("seccomp:")]
        self.assertTrue(os.path.isfile(os.path.join(DEPLOY, profile)))
        self.assertTrue(gateway["read_only"])
        variables = {name: "16M" if name.endswith("BYTES") else "a-key" for name in gateway["environment"]}
        checked = subprocess.run([RINGCAST, "check"], env={**environment(), **variables}, capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        for name in variables:
            self.assertIn(name, checked.stdout, "it is no setting")

    @needs("docker-compose")
    def test_docker_compose_reads_it(self):
        version = tool("docker-compose", "version", "--short").stdout.strip().lstrip("v").split(".")
        if int(version[0]) < 2:
            self.skipTest("docker-compose 1 knows no configs with content")
        done = subprocess.run(["docker-compose", "-f", os.path.join(DEPLOY, "compose.yaml"), "config", "-q"], capture_output=True, text=True, timeout=60,
                              env={**environment(), "RINGCAST_PUBLISH_KEY": "a", "RINGCAST_ADMIN_KEY": "b"})
        self.assertEqual(done.returncode, 0, done.stderr)


@needs_module("yaml", "python3-yaml")
class KubernetesTest(unittest.TestCase):
    # Newer than the models of python3-kubernetes in Debian 12.
    NEWER = {"V1Handler.sleep", "V1LifecycleHandler.sleep"}

    def setUp(self):
        self.objects = {document["kind"]: document for document in yaml_of("kubernetes", "ringcast.yaml")}
        self.pod = self.objects["Deployment"]["spec"]["template"]
        (self.container,) = self.pod["spec"]["containers"]

    def test_names_and_labels_agree(self):
        labels = self.pod["metadata"]["labels"]
        self.assertEqual(set(self.objects), {"Deployment", "Service", "PodDisruptionBudget"})
        for selector in (self.objects["Deployment"]["spec"]["selector"]["matchLabels"], self.objects["Service"]["spec"]["selector"], self.objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]):
            self.assertLessEqual(selector.items(), labels.items())
        ports = {port["name"] for port in self.container["ports"]}
        self.assertLessEqual({port["targetPort"] for port in self.objects["Service"]["spec"]["ports"]}, ports)

    def test_the_pod_may_do_nothing_and_has_the_profile(self):
        self.assertEqual(self.container["securityContext"], {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}})
        context = self.pod["spec"]["securityContext"]
        self.assertEqual((context["runAsNonRoot"], context["runAsUser"], context["seccompProfile"]["type"]), (True, 65532, "Localhost"))
        self.assertFalse(self.pod["spec"]["automountServiceAccountToken"])
        self.assertEqual(set(self.container["resources"]["limits"]), {"cpu", "memory"})

    def test_settings_and_the_times_of_a_drain_fit(self):
        variables = {entry["name"]: entry.get("value", "a-key") for entry in self.container["env"]}
        checked = subprocess.run([RINGCAST, "check"], env={**environment(), **variables}, capture_output=True, text=True, timeout=60)
        self.assertEqual(checked.returncode, 0, checked.stderr)
        for name in variables:
            self.assertIn(name, checked.stdout, "it is no setting")
        drain_s, close_s = int(variables["RINGCAST_DRAIN_TIMEOUT"].removesuffix("s")), 3
        self.assertGreater(self.pod["spec"]["terminationGracePeriodSeconds"], self.container["lifecycle"]["preStop"]["sleep"]["seconds"] + drain_s + close_s)

    def test_each_probe_is_answered_by_a_gateway(self):
        with Gateway() as gateway:
            for probe in ("startupProbe", "readinessProbe"):
                self.assertEqual(gateway.fetch("GET", self.container[probe]["httpGet"]["path"]).status, 200)
            program, *arguments = self.container["livenessProbe"]["exec"]["command"]
            self.assertEqual(program, "/ringcast")
            lives = subprocess.run([RINGCAST, *arguments], env={**environment(), "RINGCAST_LISTEN": f"127.0.0.1:{gateway.port}"}, timeout=60)
            self.assertEqual(lives.returncode, 0)

    @needs_module("kubernetes", "python3-kubernetes")
    def test_fields_and_types_are_those_of_the_api(self):
        from kubernetes import client
        for kind, model in (("Deployment", "V1Deployment"), ("Service", "V1Service"), ("PodDisruptionBudget", "V1PodDisruptionBudget")):
            self.assertEqual(self.faults(client, model, self.objects[kind], kind), [])
        self.assertEqual(len(self.faults(client, "V1DeploymentSpec", {"replicas": "two", "tempalte": {}}, "wrong on purpose")), 3, "no selector, no such field, no number")

    def faults(self, client, kind, value, at):
        """What the API's models say against a value."""
        plain = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": (int, str)}
        if kind in plain:
            return [] if isinstance(value, plain[kind]) and (kind != "int" or value is not True) else [f"{at}: {value!r} is no {kind}"]
        if match := re.fullmatch(r"list\[(.*)\]", kind):
            return sum((self.faults(client, match[1], entry, f"{at}[{i}]") for i, entry in enumerate(value)), [])
        if match := re.fullmatch(r"dict\(str, (.*)\)", kind):
            return sum((self.faults(client, match[1], entry, f"{at}.{key}") for key, entry in value.items()), [])
        model = getattr(client, kind)
        names = {outside: inside for inside, outside in model.attribute_map.items()}
        faults = [f"{at}: {kind} has no field {key}" for key in value if key not in names and f"{kind}.{key}" not in self.NEWER]
        known = {names[key]: entry for key, entry in value.items() if key in names}
        try:
            model(**known, local_vars_configuration=client.Configuration())
        except ValueError as fault:
            faults.append(f"{at}: {fault}")
        return sum((self.faults(client, model.openapi_types[key], entry, f"{at}.{key}") for key, entry in known.items()), faults)


class SystemdTest(unittest.TestCase):
    @needs("systemd-analyze", "systemd")
    def test_systemd_finds_nothing_to_say_and_calls_it_safe(self):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "ringcast.service")
            with open(path, "w", encoding="utf-8") as file:
                file.write(text_of("systemd", "ringcast.service").replace("/usr/local/bin/ringcast", RINGCAST))
            verified = tool("systemd-analyze", "verify", path)
            self.assertEqual((verified.returncode, verified.stdout + verified.stderr), (0, ""))
            judged = tool("systemd-analyze", "security", "--offline=yes", "--threshold=15", path)
            self.assertEqual(judged.returncode, 0, judged.stdout + judged.stderr)

    @needs("systemd-analyze", "systemd")
    def test_the_socket_is_one_that_systemd_takes(self):
        with tempfile.TemporaryDirectory() as folder:
            for name in ("ringcast.socket", "ringcast.service"):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                    file.write(text_of("systemd", name).replace("/usr/local/bin/ringcast", RINGCAST))
            verified = tool("systemd-analyze", "verify", os.path.join(folder, "ringcast.socket"))
            self.assertEqual((verified.returncode, verified.stdout + verified.stderr), (0, ""))

    @unittest.skipUnless(shutil.which("systemd-socket-activate"), "systemd-socket-activate (package systemd) is not installed")
    def test_a_gateway_takes_the_sockets_of_systemd(self):
        port = free_port()
        activated = subprocess.Popen(["systemd-socket-activate", "-l", f"127.0.0.1:{port}", RINGCAST, "--shards", "2", "--auth.publish-key", KEY], env=environment(), stderr=subprocess.DEVNULL)
        try:
            deadline = time.monotonic() + PATIENCE
            while True:  # until it listens; the first who connects starts the gateway, and waits
                try:
                    self.assertEqual(fetch(port, "GET", "/healthz").status, 200)
                    break
                except ConnectionRefusedError:
                    self.assertLess(time.monotonic(), deadline)
            clients = [Ws(port) for _ in range(10)]
            for ws in clients:
                self.addCleanup(ws.close)
                self.assertEqual(ws.read()["op"], "hello")
        finally:
            activated.terminate()
            activated.wait()

    @needs("systemd-analyze", "systemd")
    def test_the_filter_leaves_io_uring_and_takes_what_is_privileged(self):
        allowed = systemd_unit.allowed_system_calls()
        self.assertLess({"io_uring_setup", "io_uring_enter", "io_uring_register", "accept4", "prlimit64"}, allowed)
        self.assertEqual(allowed & {"mount", "ptrace", "setuid", "reboot", "bpf", "keyctl", "init_module", "swapon"}, set())

    def test_its_commands_are_commands(self):
        settings = systemd_unit.settings()
        for name in ("ExecStartPre", "ExecStart"):
            (line,) = settings[name]
            program, command, *flags = line.split()
            self.assertEqual((program, flags), ("/usr/local/bin/ringcast", ["--config", "%d/ringcast.ini"]))
            self.assertIn(command, ("check", "serve"))
        stop_s, drain_s, close_s = int(settings["TimeoutStopSec"][0].removesuffix("s")), 10, 3
        self.assertGreater(stop_s, drain_s + close_s)


class KernelTest(unittest.TestCase):
    def test_each_setting_is_one(self):
        found = re.findall(r"^(# |-)?([a-z0-9_]+(?:\.[a-z0-9_]+)+) = (.+)$", text_of("sysctl.conf"), re.M)
        self.assertGreater(len(found), 8)
        for mark, name, value in found:
            path = "/proc/sys/" + name.replace(".", "/")
            with self.subTest(name):
                if mark != "-":  # those may be missing
                    self.assertTrue(os.path.exists(path))
                if os.path.exists(path):
                    with open(path, encoding="ascii") as file:
                        self.assertEqual(len(file.read().split()), len(value.split()))


class PublisherTest(unittest.TestCase):
    PATH = os.path.join(DEPLOY, "publisher.py")

    def run_it(self, port, key, rounds="2"):
        return subprocess.run([sys.executable, self.PATH, f"http://127.0.0.1:{port}", rounds], env={**environment(), "RINGCAST_KEY": key}, capture_output=True, text=True, timeout=6 * PATIENCE)

    def test_it_publishes(self):
        with Gateway() as gateway:
            done = self.run_it(gateway.port, KEY)
            self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
            self.assertEqual([(update["seq"], type(update["data"]["p"])) for update in gateway.history("AAPL")], [(1, float), (2, float)])

    def test_a_wrong_key_ends_it_and_an_absent_gateway_does_not(self):
        with Gateway() as gateway:
            done = self.run_it(gateway.port, "wrong")
            self.assertEqual((done.returncode, "401" in done.stderr), (1, True), done.stderr)
            gateway.stop()
            publisher = subprocess.Popen([sys.executable, self.PATH, f"http://127.0.0.1:{gateway.port}", "1"], env={**environment(), "RINGCAST_KEY": KEY}, stderr=subprocess.PIPE, text=True)
            try:
                self.assertIn("trying again", publisher.stderr.readline())
                gateway.start(gateway.port)
                self.assertEqual(publisher.wait(6 * PATIENCE), 0)
                self.assertEqual(gateway.history("AAPL")[0]["seq"], 1)
            finally:
                publisher.kill()
                publisher.wait()
                publisher.stderr.close()


if __name__ == "__main__":
    unittest.main()
