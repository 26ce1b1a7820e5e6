"""Settings: what is wrong with them stops the start and is said in words that help."""
import re
import socket
import subprocess
import unittest

from client import PATIENCE
from gateway import KEY, RINGCAST, SANITIZER_WORDS, Gateway, environment, free_port


def run(*words):
    """Runs the program to its end: (status, stdout, stderr). One that goes on serving is a failure."""
    try:
        done = subprocess.run([RINGCAST, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, env=environment())
    except subprocess.TimeoutExpired as late:
        raise AssertionError(f"{words} went on: {late.stderr}") from None
    return done.returncode, done.stdout.decode(), done.stderr.decode()


class SettingsTest(unittest.TestCase):
    def refused(self, *words):
        """What stderr says of a start that must not happen."""
        status, _, said = run(*words)
        self.assertGreater(status, 0, f"{words} must end with a failure, and not by a signal: {said}")
        self.assertTrue(said.strip(), "in words")
        self.assertIsNone(SANITIZER_WORDS.search(said), said)
        return said

    def test_an_unknown_setting_stops_the_start_and_names_the_nearest(self):
        listen = f"127.0.0.1:{free_port()}"
        for wrong, value, nearest in [
            ("--topics.windw", "5", "topics.window"), ("--topic.window", "5", "topics.window"), ("--limits.payloads", "5", "limits.payload"), ("--limit.mesage", "5", "limits.message"), ("--auth.publishkey", "x", "auth.publish-key"), ("--auth.publish_key", "x", "auth.publish-key"),
            ("--lisen", "127.0.0.1:1", "listen"), ("--heartbeat.ms", "1000", "heartbeat-ms"), ("--deadline.close", "1000", "deadline.close-ms"), ("--topics.window-byte", "1", "topics.window-bytes"),
        ]:
            with self.subTest(wrong):
                said = self.refused("serve", "--listen", listen, wrong, value)
                self.assertIn(wrong.lstrip("-"), said)
                self.assertRegex(said, re.escape(nearest) + r"(?![\w-]|\.\w)", "the suggestion")

    def test_a_malformed_value_names_its_setting(self):
        listen = ["--listen", f"127.0.0.1:{free_port()}"]
        for words, name in [
            ([*listen, "--topics.window", "abc"], "topics.window"), ([*listen, "--topics.window", "-1"], "topics.window"), ([*listen, "--topics.window", ""], "topics.window"), ([*listen, "--topics.window", "10x"], "topics.window"), ([*listen, "--topics.window", "99999999999999999999999"], "topics.window"),
            ([*listen, "--limits.payload", "1.5"], "limits.payload"), ([*listen, "--limits.head", "x"], "limits.head"), ([*listen, "--heartbeat-ms", "soon"], "heartbeat-ms"), ([*listen, "--deadline.head-ms", "1s?"], "deadline.head-ms"), ([*listen, "--topics.window"], "topics.window"),
            (["--listen", "nonsense"], "listen"), (["--listen", "127.0.0.1:99999"], "listen"), (["--listen", "127.0.0.1:"], "listen"), (["--listen", "127.0.0.1:x"], "listen"), (["--listen", "300.0.0.1:8080"], "listen"), (["--listen"], "listen"),
        ]:
            with self.subTest(" ".join(words[-2:])):
                self.assertIn(name, self.refused("serve", *words))

    def test_a_malformed_value_says_what_would_be_right(self):
        said = self.refused("serve", "--listen", f"127.0.0.1:{free_port()}", "--topics.window", "abc")
        self.assertRegex(said.lower(), r"number|integer|\d", "a kind, or a range")

    def test_an_unknown_command_stops_the_start(self):
        self.assertIn("sevre", self.refused("sevre"))

    def test_a_port_in_use_is_a_clear_error(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            said = self.refused("serve", "--listen", f"127.0.0.1:{port}")
            self.assertIn(str(port), said)
            self.assertRegex(said.lower(), "in use")

    def test_an_address_that_is_not_ours_is_a_clear_error(self):
        said = self.refused("serve", "--listen", "192.0.2.1:8080")
        self.assertIn("192.0.2.1", said)

    def test_version_is_told(self):
        status, told, _ = run("version")
        self.assertEqual(status, 0)
        self.assertRegex(told, r"\d+\.\d+")

    def test_serve_is_the_default_command(self):
        with Gateway(command=()) as gateway:
            self.assertEqual(gateway.fetch("GET", "/healthz").status, 200)

    def test_a_key_is_never_printed(self):
        gateway = Gateway().start()
        gateway.publish("a")
        gateway.stop()
        self.assertNotIn(KEY, gateway.said[0])
        self.assertNotIn(KEY, gateway.said[1])
        self.assertNotIn(KEY, self.refused("serve", "--auth.publish-key", KEY, "--nonsense", "1"))

    def test_nothing_it_says_holds_control_characters(self):
        said = self.refused("serve", "--\x1b[31mred", "x")
        self.assertIsNone(re.search(r"[\x00-\x08\x0b-\x1f\x7f]", said), repr(said))


if __name__ == "__main__":
    unittest.main()
