"""Runs JavaScript for a test, in Node or in a page of headless Chromium, with the helpers of tests/js/kit.js around it.

Promise: run() returns what the piece of code returns, or raises what it throws; nothing is waited for without an end. WHY_NO_NODE and
WHY_NO_CHROMIUM say in words why there is none here (None: there is one).
"""
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

from client import PATIENCE, Closed, Ended, Http, TooLate, Ws
from gateway import ROOT

CLIENT = os.path.join(ROOT, "gateway", "web", "ringcast.js")
KIT = os.path.join(ROOT, "tests", "js", "kit.js")
DRIVER = os.path.join(ROOT, "tests", "js", "driver.mjs")
DEBIAN_WS = "/usr/share/nodejs/ws/package.json"


class Failed(AssertionError):
    """The code threw."""


def node_command():
    """(command, None), or (None, why there is none)."""
    node = shutil.which("node") or shutil.which("nodejs")
    if not node:
        return None, "Node is not installed (Debian: nodejs node-ws)"
    version = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60).stdout.strip().lstrip("v")
    major, minor = (int(part) for part in version.split(".")[:2])
    if major >= 22:
        return [node], None
    if os.path.exists(DEBIAN_WS) and major >= 16:
        return [node], None
    if (major, minor) >= (20, 10):
        return [node, "--experimental-websocket"], None
    return None, f"Node {version} has no WebSocket, and Debian's node-ws is not installed"


def chromium_path():
    """(path, None), or (None, why there is none). Ubuntu's package is a script that calls a snap, and a snap sees nothing of our /tmp, where the profile is."""
    why = "Chromium is not installed (Debian: chromium)"
    for path in filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))):
        program = os.path.realpath(path)
        with open(program, "rb") as file:
            calls_snap = b"/snap/bin/chromium" in file.read(4096)
        if not calls_snap and not program.startswith("/snap/") and os.path.basename(program) != "snap":
            return path, None
        why = f"{path} is a snap, which sees no profile in /tmp (one that is installed otherwise would do: chromium, google-chrome)"
    return None, why


NODE, WHY_NO_NODE = node_command()
CHROMIUM, WHY_NO_CHROMIUM = chromium_path()


class Node:
    """One Node process; a context manager."""

    def __init__(self, url, flags=(), variables=None):
        self.stderr = tempfile.TemporaryFile()
        self.process = subprocess.Popen([NODE[0], *flags, *NODE[1:], DRIVER, CLIENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.stderr, text=True, env={**os.environ, **(variables or {})})
        self.ids = itertools.count(1)
        self.answers = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()
        self.run(f"globalThis.url = {json.dumps(url)}; globalThis.patience_ms = {PATIENCE * 1000};")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def listen(self):
        for line in self.process.stdout:
            self.answers.put(json.loads(line))
        self.answers.put(None)

    def run(self, code):
        asked = next(self.ids)
        self.process.stdin.write(json.dumps({"id": asked, "code": code}) + "\n")
        self.process.stdin.flush()
        deadline = time.monotonic() + 3 * PATIENCE
        while True:
            try:
                answer = self.answers.get(timeout=max(0.001, deadline - time.monotonic()))
            except queue.Empty:
                raise TooLate(f"no end of: {code}\n{self.said()}") from None
            if answer is None:
                raise Failed(f"Node ended with {self.process.wait()}: {self.said()}")
            if answer["id"] == asked:
                break
        if "error" in answer:
            raise Failed(f"{answer['error']}\nin: {code}\n{self.said()}")
        return answer["value"]

    def said(self):
        return os.pread(self.stderr.fileno(), 1 << 16, 0).decode("utf-8", "replace")

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.stderr.close()


class Chromium:
    """One headless browser, driven over its debugging socket; a context manager. page(url) opens one. flags: more of them."""

    def __init__(self, *flags):
        self.profile = tempfile.mkdtemp(prefix="ringcast-chromium-")
        self.stderr = tempfile.TemporaryFile()
        # Without a sandbox: as root there is none, and the pages are our own. Memory files: /dev/shm is small in containers.
        self.process = subprocess.Popen([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
                                         "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={self.profile}", *flags, "about:blank"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.stderr)
        try:
            self.port = self.wait_for_port()
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def wait_for_port(self):
        deadline = time.monotonic() + 6 * PATIENCE  # a first start fills caches
        while time.monotonic() < deadline:
            try:
                with open(os.path.join(self.profile, "DevToolsActivePort"), encoding="ascii") as file:
                    return int(file.readline())
            except (OSError, ValueError):
                time.sleep(0.02)
            if self.process.poll() is not None:
                break
        raise TooLate("Chromium does not start: " + os.pread(self.stderr.fileno(), 1 << 14, 0).decode("utf-8", "replace"))

    def page(self, url):
        return Page(self.port, self.target(), url)

    def tab(self):
        """An empty one, to be driven by ask()."""
        return Tab(self.port, self.target())

    def target(self):
        with Http(self.port) as http:
            http.request("PUT", "/json/new?about:blank")
            return http.response(3 * PATIENCE).json()["webSocketDebuggerUrl"]

    def close(self):
        self.process.kill()
        self.process.wait()
        self.stderr.close()
        for _ in range(50):  # its children may still write while they go
            shutil.rmtree(self.profile, ignore_errors=True)
            if not os.path.exists(self.profile):
                break
            time.sleep(0.1)


class Tab:
    """A tab of the browser. events: what it told unasked, as far as its domains were enabled."""

    def __init__(self, port, debugger_url):
        self.ws = Ws(port, "/" + debugger_url.split("/", 3)[3])
        self.events = []

    def ask(self, method, **params):
        self.ws.last_id += 1
        asked = self.ws.last_id
        self.ws.send_json({"id": asked, "method": method, "params": params})
        deadline = time.monotonic() + 3 * PATIENCE
        while True:
            try:
                message = json.loads(self.ws.read_message(deadline - time.monotonic())[1])
            except (Closed, Ended) as error:
                raise Failed(f"the browser has gone: {error}") from None
            if "method" in message:
                self.events.append(message)
            if message.get("id") == asked:
                if "error" in message:
                    raise Failed(f"{method}: {message['error']}")
                return message["result"]

    def run(self, code):
        result = self.ask("Runtime.evaluate", expression="(async () => {" + code + "\n})().then(value => JSON.stringify(value ?? null))", awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise Failed(f"{details.get('exception', {}).get('description', details)}\nin: {code}")
        return json.loads(result["result"]["value"])

    def close(self):
        self.ws.close()


class Page(Tab):
    """A page whose document is the gateway's /healthz, and which has loaded /ringcast.js from there as a module."""

    def __init__(self, port, debugger_url, url):
        super().__init__(port, debugger_url)
        self.ask("Page.enable")
        self.ask("Page.navigate", url=url.replace("ws", "http", 1) + "/healthz")
        deadline = time.monotonic() + 3 * PATIENCE
        while self.ask("Runtime.evaluate", expression="location.pathname + document.readyState")["result"].get("value") != "/healthzcomplete":
            if time.monotonic() > deadline:
                raise TooLate("the page does not load")
            time.sleep(0.02)
        # As a page does it: <script type="module" src>, and a module of its own that imports the same; under a policy without anything unsafe.
        self.run("""
            document.head.append(Object.assign(document.createElement("meta"), { httpEquiv: "Content-Security-Policy", content: "default-src 'none'; script-src 'self'; connect-src 'self'" }));
            const script = Object.assign(document.createElement("script"), { type: "module", src: "/ringcast.js" });
            await new Promise((resolve, reject) => { script.onload = resolve; script.onerror = () => reject(new Error("/ringcast.js does not load")); document.head.append(script); });
            globalThis.ringcast = await import("/ringcast.js");
            globalThis.uncaught = [];
            addEventListener("error", event => globalThis.uncaught.push(event.error?.message ?? event.message));""")
        with open(KIT, encoding="utf-8") as kit:
            self.ask("Runtime.evaluate", expression=kit.read())
        self.run(f"globalThis.url = {json.dumps(url)}; globalThis.patience_ms = {PATIENCE * 1000};")


class Pages:
    """For test cases of the gateway's own pages: one browser for all of a class. Comes before the other bases."""

    @classmethod
    def setUpClass(cls):
        cls.browser = Chromium()
        cls.addClassCleanup(cls.browser.close)
        super().setUpClass()

    def open_page(self, port, path, script, width, height, features):
        """A tab in which it has loaded, `script` before it; its faults are looked at when the test ends. `breaks`, False at first: the browser may
        tell of faults of the network."""
        tab = self.browser.tab()
        self.addCleanup(tab.close)
        for domain in ("Page", "Runtime", "Log", "Network"):
            tab.ask(domain + ".enable")
        tab.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        tab.ask("Emulation.setEmulatedMedia", features=[{"name": name, "value": value} for name, value in features])
        tab.ask("Page.addScriptToEvaluateOnNewDocument", source=script)
        tab.host, tab.breaks = f"127.0.0.1:{port}", False
        tab.ask("Page.navigate", url=f"http://{tab.host}{path}")
        deadline = time.monotonic() + 3 * PATIENCE
        while tab.ask("Runtime.evaluate", expression="location.host + document.readyState")["result"].get("value") != tab.host + "complete":
            if time.monotonic() > deadline:
                raise TooLate(f"{path} does not load")
            time.sleep(0.02)
        self.addCleanup(self.look_at, tab)
        return tab

    def look_at(self, tab):
        """Nothing went to another host, and the browser had nothing to complain of."""
        tab.run("return 1")  # all that was told before has been read
        for event in tab.events:
            params = event["params"]
            url = params.get("request", {}).get("url") or params.get("url", "")
            if event["method"] in ("Network.requestWillBeSent", "Network.webSocketCreated") and not url.startswith("data:"):
                self.assertEqual(url.split("/")[2], tab.host, "a request to another host")
            if event["method"] == "Runtime.exceptionThrown":
                self.fail(f"uncaught: {params['exceptionDetails']}")
            if event["method"] == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
                self.fail(f"the console says {params['type']}: {params['args']}")
            if event["method"] == "Log.entryAdded" and params["entry"]["level"] == "error" and not (tab.breaks and params["entry"]["source"] == "network"):
                self.fail(f"the browser complains: {params['entry']}")
