"""Settings: what is wrong with them stops the start and is said in words that help; `check` tells what is in force and why."""
import os
import re
import socket
import subprocess
import tempfile
import unittest

from client import PATIENCE
from gateway import KEY, RINGCAST, ROOT, SANITIZER_WORDS, Gateway, environment, free_port


def run(*words, **variables):
    """Runs the program to its end: (status, stdout, stderr). One that goes on serving is a failure."""
    try:
        done = subprocess.run([RINGCAST, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, env={**environment(), **variables})
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


class FileTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = os.path.join(folder.name, "ringcast.ini")

    def write(self, text):
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def check(self, *words, **variables):
        """{name: (value, source)} of `ringcast check`."""
        status, told, said = run("check", *words, **variables)
        self.assertEqual((status, said), (0, ""))
        found = re.findall(r"^(?:; )?([a-z0-9.-]+) = (.*?) *; (\S+)$", told, re.M)
        self.assertEqual(len(found), len(told.splitlines()), told)
        return {name: (value, source) for name, value, source in found}

    def test_the_example_names_every_setting_with_its_default(self):
        with open(os.path.join(ROOT, "deploy", "ringcast.ini"), encoding="utf-8") as file:
            example = file.read()
        self.assertEqual(run("check", "--example"), (0, example, ""), "deploy/ringcast.ini is what `ringcast check --example` prints")
        settings = re.findall(r"^;([a-z0-9-]+) =", example, re.M)
        defaults = self.check()
        self.assertEqual(len(settings), len(defaults))
        self.write(example)
        self.assertEqual(self.check("--config", self.path), defaults, "as it stands it sets nothing")
        self.write(re.sub(r"^;", "", example, flags=re.M))
        uncommented = self.check("--config", self.path)
        for name, (value, source) in uncommented.items():
            with self.subTest(name):
                self.assertEqual(value, defaults[name][0])
                self.assertRegex(source, r"ringcast\.ini:\d+$", "it stands in the example")
        self.assertEqual(set(uncommented), set(defaults))

    def test_check_tells_what_is_in_force_and_where_it_comes_from(self):
        self.write("shards = 2\n\n[limits]\nbody = 1M\nhead = 2K\npatterns = 3\n")
        checked = self.check("--config", self.path, "--limits.head", "8K", RINGCAST_LIMITS_HEAD="4K", RINGCAST_LIMITS_PATTERNS="4")
        self.assertEqual(checked["shards"], ("2", f"{self.path}:1"))
        self.assertEqual(checked["limits.body"], ("1M", f"{self.path}:4"))
        self.assertEqual(checked["limits.head"], ("8K", "--limits.head"))
        self.assertEqual(checked["limits.patterns"], ("4", "RINGCAST_LIMITS_PATTERNS"))
        self.assertEqual(checked["limits.payload"], ("64K", "default"))

    def test_what_check_prints_is_a_file_of_the_same_settings(self):
        status, told, _ = run("check", "--limits.body", "12345", "--origins", "https://a.example,https://b.example", "--log.format", "json", "--deadline.head-ms", "1500")
        self.assertEqual(status, 0)
        self.write(told)
        again = self.check("--config", self.path)
        self.assertEqual({name: value for name, (value, _) in again.items()}, dict(re.findall(r"^(?:; )?([a-z0-9.-]+) = (.*?) *; \S+$", told, re.M)))

    def test_check_refuses_what_the_start_refuses(self):
        for text, line, words in [
            ("[limits]\nconections = 5\n", 2, "limits.connections"), ("limits.head = 1\n", 1, "1K"), ("listen\n", 1, "name = value"), ("demo = true\ndemo = true\n", 2, "twice"),
            ("listen = 1.2.3.4\n", 1, "127.0.0.1:8080"), ("[log]\nlevel = loud\n", 2, "error, warn, info or debug"),
        ]:
            self.write(text)
            for command in ("check", "serve"):
                with self.subTest(f"{command} {text}"):
                    status, _, said = run(command, "--config", self.path)
                    self.assertEqual(status, 1)
                    self.assertIn(f"{self.path}:{line}: ", said)
                    self.assertIn(words, said)

    def test_a_file_that_is_not_there_is_a_clear_error(self):
        for path, words in [(self.path, "No such file"), (os.path.dirname(self.path), "Is a directory")]:
            status, _, said = run("serve", "--config", path)
            self.assertEqual(status, 1)
            self.assertIn(f"{path}: {words}", said)

    def test_a_secret_is_not_printed(self):
        self.write(f"[auth]\npublish-key = {KEY}\n")
        status, told, _ = run("check", "--config", self.path, RINGCAST_AUTH_ADMIN_KEY=KEY)
        self.assertEqual(status, 0)
        self.assertNotIn(KEY, told)
        self.assertEqual(self.check("--config", self.path)["auth.publish-key"], ("(set)", f"{self.path}:2"))
        self.write(f"[auth]\npublish-key = {KEY}\npublish-key = {KEY}\nx = {KEY}\n")
        self.assertNotIn(KEY, run("check", "--config", self.path)[2])

    def test_the_file_is_in_force_and_its_name_may_be_a_variable(self):
        self.write(f"heartbeat-ms = 2s\n[auth]\npublish-key = {KEY}\n")
        with Gateway(key=None, variables={"RINGCAST_CONFIG": self.path}) as gateway:
            gateway.publish("a")
            self.assertIn(f"{self.path}:1", gateway.await_logged("name=heartbeat-ms")[0])

    def test_a_variable_that_names_no_setting_is_warned_of(self):
        with Gateway(variables={"RINGCAST_LIMITS_PAYLAOD": "secret", "RINGCAST_SERVICE_HOST": "10.0.0.1", "RINGCAST_PORT": "tcp://10.0.0.1:8080"}) as gateway:
            line, = gateway.await_logged("names no setting")
            self.assertIn("variable=RINGCAST_LIMITS_PAYLAOD nearest=RINGCAST_LIMITS_PAYLOAD", line)
            self.assertNotIn("secret", gateway.logged())
        status, told, said = run("check", RINGCAST_LIMITS_PAYLAOD="secret", RINGCAST_SERVICE_HOST="10.0.0.1")
        self.assertEqual((status, told), run("check")[:2], "it is no setting")
        self.assertEqual(said, "ringcast: warning: the variable RINGCAST_LIMITS_PAYLAOD names no setting; the nearest is RINGCAST_LIMITS_PAYLOAD\n")


if __name__ == "__main__":
    unittest.main()
