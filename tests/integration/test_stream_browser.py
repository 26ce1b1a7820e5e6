"""A browser's own EventSource on /v1/stream: it reconnects by itself and resumes, after a cut of its TCP connection and after the gateway was
killed and started again on the same port. The page is of another origin, one of `origins`."""
import http.server
import json
import os
import queue
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from unittest import mock

from gateway import Gateway, free_port
from javascript import CHROMIUM, WHY_NO_CHROMIUM

PATIENCE_S = 60  # a browser waits some seconds before it tries again

PAGE = """<!doctype html><script>
const say = (what) => fetch("/said", { method: "POST", body: JSON.stringify(what) });
const source = new EventSource("%s");
source.onopen = () => say({ page: "open" });
source.onerror = () => say({ page: "error", state: source.readyState });
let chain = Promise.resolve();
source.onmessage = (event) => { const said = { event: JSON.parse(event.data), id: event.lastEventId }; chain = chain.then(() => say(said)); };
</script>"""


class Proxy:
    """Passes bytes on to a port, and cuts all that it passes when it is told to."""

    def __init__(self, target):
        self.target, self.pairs, self.sockets = target, [], []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                gateway = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            self.pairs.append((client, gateway))
            self.sockets += [client, gateway]
            for a, b in ((client, gateway), (gateway, client)):
                threading.Thread(target=self.copy, args=(a, b), daemon=True).start()

    @staticmethod
    def copy(source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        pairs, self.pairs = self.pairs, []
        for pair in pairs:
            for one in pair:
                try:
                    one.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
        return len(pairs)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # who waits in accept() leaves it before the descriptor is another's
        self.accepting.join()
        self.listener.close()
        self.cut()
        for one in self.sockets:
            one.close()


class Page:
    """Serves one page and hears what it says."""

    def __init__(self):
        said = self.said = queue.Queue()
        page = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                body = page.text.encode() if self.path == "/" else b""
                self.send_response(200 if body else 404)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                said.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.text = ""
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@unittest.skipIf(WHY_NO_CHROMIUM, WHY_NO_CHROMIUM or "")
class BrowserTest(unittest.TestCase):
    def setUp(self):
        self.page = Page()
        self.addCleanup(self.page.close)

    def browse(self, url):
        self.page.text = PAGE % url
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder, True)
        self.browser = subprocess.Popen([CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions", "--disable-background-networking",
                                         "--remote-debugging-port=0", f"--user-data-dir={folder}", self.page.origin + "/"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(self.end_browser)

    def end_browser(self):
        try:
            os.killpg(self.browser.pid, 9)  # its own group: the browser and what it started
        except ProcessLookupError:
            pass
        self.browser.wait()

    def heard(self, what=lambda said: True):
        """The next thing of this kind that the page says; what comes before it is passed over."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                said = self.page.said.get(timeout=max(0.1, deadline - time.monotonic()))
            except queue.Empty:
                self.fail("the page says nothing")
            if what(said):
                return said

    def event(self, op=None):
        """The next event with this op; an update where it is None."""
        return self.heard(lambda said: said.get("event", {"op": "?"}).get("op") == op)["event"]

    def update(self, seq):
        self.assertEqual(self.event()["seq"], seq)

    def positioned(self, gateway, topic, seq):
        """Publishes until an event shows that the browser has stored a position of `seq` or more. Returns the newest seq."""
        while True:
            time.sleep(0.3)
            newest = gateway.publish(topic, seq)["seq"]
            said = self.heard(lambda said: "event" in said and said["event"].get("seq") == newest and "op" not in said["event"])
            if said["id"] and int(said["id"].split(":")[1]) >= seq:
                return newest

    def test_an_eventsource_resumes_after_a_cut_and_begins_anew_after_a_restart(self):
        topic, port = "browser.t", free_port()
        with mock.patch("gateway.free_port", return_value=port):
            gateway = Gateway("--origins", self.page.origin, "--shards", "2").start()
            self.addCleanup(lambda: gateway.kill())
            proxy = Proxy(port)
            self.addCleanup(proxy.close)
            gateway.publish(topic, 1)
            self.browse(f"http://127.0.0.1:{proxy.port}/v1/stream?topics={topic}&mode=every")
            self.assertNotIn("resumed", self.event("subscribed")["topics"][0])
            self.update(1)
            newest = self.positioned(gateway, topic, 1)

            self.assertEqual(proxy.cut(), 1)
            self.heard(lambda said: said == {"page": "error", "state": 0})
            missed = [gateway.publish(topic, 0)["seq"] for _ in range(20)]
            self.assertEqual(missed[0], newest + 1)
            ack = self.event("subscribed")["topics"][0]
            self.assertEqual((ack["topic"], ack["resumed"]), (topic, True))
            seqs = []
            while not seqs or seqs[-1] < missed[-1]:
                seqs.append(self.event()["seq"])
            self.assertEqual(seqs, list(range(seqs[0], missed[-1] + 1)), "in order and without a hole")
            self.assertLessEqual(seqs[0], missed[0], "what came after the last id may repeat")
            self.positioned(gateway, topic, missed[-1])

            gateway.kill()
            self.heard(lambda said: said == {"page": "error", "state": 0})
            gateway = Gateway("--origins", self.page.origin, "--shards", "2").start()
            gateway.publish(topic, "42")
            ack = self.event("subscribed")["topics"][0]
            self.assertEqual((ack["topic"], ack["seq"], ack["resumed"]), (topic, 1, False))
            self.update(1)
            gateway.publish(topic, "43")
            self.update(2)
            self.end_browser()
            gateway.stop()

    def test_a_page_of_a_foreign_origin_reads_nothing(self):
        with Gateway("--origins", "https://elsewhere.example") as gateway:
            gateway.publish("t", 1)
            self.browse(f"http://127.0.0.1:{gateway.port}/v1/stream?topics=t")
            self.assertEqual(self.heard(), {"page": "error", "state": 2})
            self.end_browser()


if __name__ == "__main__":
    unittest.main()
