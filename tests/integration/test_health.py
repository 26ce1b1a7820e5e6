"""`ringcast health`: an exit status that tells how a gateway is."""
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from client import PATIENCE, Refused, Ws
from gateway import RINGCAST, Gateway, environment, free_port


def health(*arguments, variables=None):
    """(exit status, what it said)"""
    asked = subprocess.run([RINGCAST, "health", *arguments], capture_output=True, text=True, timeout=6 * PATIENCE, env={**environment(), **(variables or {})})
    return asked.returncode, asked.stdout + asked.stderr


class Answering:
    """Answers each connection by the same bytes; answer=None: by nothing."""

    def __init__(self, answer):
        self.answer = answer
        self.held = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.serving = threading.Thread(target=self.serve, daemon=True)
        self.serving.start()
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # who waits in accept() leaves it before the descriptor is another's
        self.serving.join()
        self.listener.close()
        for connection in self.held:
            connection.close()

    def serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            if self.answer is None:
                self.held.append(connection)
                continue
            connection.recv(65536)
            connection.sendall(self.answer)
            connection.close()


class HealthTest(unittest.TestCase):
    def test_a_gateway_that_answers_is_found_by_its_url_its_variable_its_flag_and_its_file(self):
        with Gateway() as gateway, tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "ringcast.ini")
            with open(path, "w") as file:
                file.write(f"listen = 0.0.0.0:{gateway.port}\n")
            at = f"127.0.0.1:{gateway.port}"
            for arguments, variables in [((f"http://{at}/readyz",), {}), ((f"http://{at}/healthz",), {}), ((f"http://{at}",), {}), ((at,), {}), ((), {"RINGCAST_LISTEN": at}), (("--listen", at), {}),
                                         (("--config", path), {}), ((), {"RINGCAST_CONFIG": path}), (("--alive",), {"RINGCAST_LISTEN": at}), (("--alive", f"http://{at}"), {})]:
                with self.subTest(arguments, **variables):
                    self.assertEqual(health(*arguments, variables=variables), (0, ""))

    def test_one_that_drains_is_alive_and_not_ready(self):
        with Gateway("--drain.timeout", "1m", "--deadline.close-ms", "1m") as gateway, Ws(gateway.port) as ws:
            ws.read()  # and from now on nothing: as long as it leaves the close unanswered, the drain goes on
            at = f"http://127.0.0.1:{gateway.port}"
            gateway.signal(signal.SIGTERM)
            gateway.await_logged("draining")
            deadline = time.monotonic() + PATIENCE
            while (said := health(at))[0] == 0 and time.monotonic() < deadline:
                time.sleep(0.01)
            self.assertEqual((said[0], "it answers 503" in said[1]), (1, True), said)
            self.assertEqual(health("--alive", at), (0, ""))
            gateway.signal(signal.SIGTERM)
            gateway.wait()

    def test_one_at_its_limit_of_connections_is_alive_and_not_ready(self):
        with Gateway("--limits.connections", "3", "--shards", "1") as gateway:
            at = f"http://127.0.0.1:{gateway.port}"
            deadline = time.monotonic() + PATIENCE
            while (said := health(at))[0] == 0 and time.monotonic() < deadline:
                try:  # the place of one that has just gone may not be free yet
                    self.addCleanup(Ws(gateway.port).close)
                except Refused:
                    pass
            self.assertEqual((said[0], "it answers 503" in said[1]), (1, True), said)
            self.assertEqual(health("--alive", at), (0, ""))

    def test_what_does_not_answer_is_not_healthy_and_the_reason_is_said(self):
        nobody = f"http://127.0.0.1:{free_port()}"
        for answer, why in [(b"HTTP/1.1 404 Not Found\r\n\r\n", "it answers 404"), (b"HTTP/1.1 2", "without an answer"), (b"", "without an answer"), (b"SSH-2.0-OpenSSH_9.2 and more\r\n", "does not speak HTTP"),
                            (b"HTTP/1.1 abc\r\n\r\n", "does not speak HTTP"), (None, "no answer in time")]:
            with self.subTest(answer), Answering(answer) as at:
                status, said = health(at)
                self.assertEqual((status, why in said), (1, True), said)
                if answer != b"HTTP/1.1 404 Not Found\r\n\r\n":
                    self.assertEqual(health("--alive", at)[0], 1)
        status, said = health(nobody)
        self.assertEqual((status, "refused" in said.lower()), (1, True), said)
        self.assertEqual(health("--alive", nobody)[0], 1)

    def test_a_wrong_command_line_is_said(self):
        for arguments, why in [(("ftp://127.0.0.1:1",), ""), (("http://127.0.0.1:1/a b",), "no URL holds"), (("http://127.0.0.1:1/" + "a" * 4096,), "too long"), (("--lisen", "127.0.0.1:1"), "did you mean"), (("a:1", "b:2"), "not a flag")]:
            with self.subTest(arguments):
                status, said = health(*arguments)
                self.assertEqual((status, why in said), (1, True), said)
        self.assertEqual(health("--help")[0], 0)


if __name__ == "__main__":
    unittest.main()
