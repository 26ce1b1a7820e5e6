"""Runs tables of cases against the real program: many connections at once on one gateway, each case counted for itself.

Promise: a case names the section of the standard that it holds the gateway to and says in words what is right; each is a test of its own for
tests/run, and each file ends with a table of its cases by section. Where the gateway has a TLS listener, all of it runs over TLS too.
"""
import collections
import concurrent.futures
import itertools
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

from client import Tcp
from gateway import RINGCAST, Gateway, environment

WORKERS = 12   # connections at once: the gateway and we share few cores, and most cases wait for an answer


class Transport:
    """How a case reaches the gateway: the port it dials, and what it puts between the socket and the bytes."""

    def __init__(self, name, port, context=None):
        self.name, self.port, self.context = name, port, context

    def wrap(self, plain):
        return self.context.wrap_socket(plain, server_hostname="localhost") if self.context else plain


class Dialled(Tcp):
    """A client connection by a transport. It is given before the rest is set up, since a client may speak at once."""

    def __init__(self, transport, *arguments, **how):
        self.transport = transport
        super().__init__(transport.port, *arguments, **how)

    def connected(self):
        self.socket = self.transport.wrap(self.socket)

    def send(self, data):
        try:
            return super().send(data)
        except ssl.SSLEOFError as end:  # the peer has ended it: with TCP alone this is another exception
            raise ConnectionResetError(str(end)) from end

    def half_close(self):
        """Under TLS too it is TCP's end alone: ssl's own shutdown would hand out what comes after it undecrypted."""
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_WR)
        except OSError:
            pass  # the peer was faster
        return self


class Case:
    """One line of a table.
    section   of the standard that the table is about, "5.5.2", or of another, "RFC 9110, 8.6"
    why       what is right, in words
    check     called with (transport); raises where it is not so
    """

    def __init__(self, section, why, check):
        self.section, self.why, self.check = section, why, check


class Suite:
    """One standard's cases. make_tests(name, flags, cases) turns them into unittest classes of the calling module."""
    results = collections.OrderedDict()  # of this process: (standard, section) -> [cases, passed]

    @classmethod
    def count(cls, standard, section, passed):
        standard, section = section.split(", ") if ", " in section else (standard, section)
        counts = cls.results.setdefault((standard, section), [0, 0])
        counts[0] += 1
        counts[1] += passed

    @classmethod
    def table(cls):
        """Lines of `| standard | section | cases | passed |`, which tests/run shows."""
        def order(key):
            return key[0], [int(part) if part.isdigit() else 0 for part in key[1].replace("-", ".").split(".")], key[1]

        totals = [sum(counts[i] for counts in cls.results.values()) for i in (0, 1)]
        rows = [(standard, section, *cls.results[standard, section]) for standard, section in sorted(cls.results, key=order)]
        return "\n".join(f"| {standard} | {section} | {cases} | {passed} |" for standard, section, cases, passed in rows) \
            + f"\n| all of {sys.argv[-1]} | | {totals[0]} | {totals[1]} |"


def has_tls():
    """Whether this program knows a TLS listener."""
    help_text = subprocess.run([RINGCAST, "--help"], capture_output=True, text=True, env=environment(), check=False)
    return "tls-listen" in help_text.stdout + help_text.stderr


def run_all(cases, transport):
    """The outcome of each case: None or the exception that it ended with."""
    def one(case):
        try:
            case.check(transport)
        except Exception as error:  # noqa: BLE001  a case that breaks in any way has failed, and the others go on
            return error
        return None

    with concurrent.futures.ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(one, cases))


class TableTest(unittest.TestCase):
    """A table on one gateway and one transport. Its tests only tell what run_all() found."""
    standard, flags, cases, over_tls = "", (), (), False
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as folder:
            flags, context = list(cls.flags), None
            if cls.over_tls:
                tls_flags, context = tls_of(folder)
                flags += tls_flags
            with Gateway(*flags) as gateway:
                port = tls_port_of(flags) if cls.over_tls else gateway.port
                cls.outcomes = run_all(cls.cases, Transport("wss" if cls.over_tls else "ws", port, context))
                if not gateway.answers():
                    raise AssertionError(f"the gateway does not answer any more: {gateway.last_words()}")

    def outcome(self, index):
        case, outcome = self.cases[index], self.outcomes[index]
        Suite.count(self.standard, case.section, outcome is None)
        if outcome is not None:
            raise AssertionError(f"{self.standard}, {case.section}: {case.why}: {outcome}") from outcome


class WithoutTls(unittest.TestCase):
    def test_over_tls(self):
        self.skipTest("this program has no TLS listener")


def tls_of(folder):
    """A certificate for localhost: the flags of a gateway that has it, and the context of a client that trusts it."""
    from gateway import free_port
    certificate, key = os.path.join(folder, "certificate.pem"), os.path.join(folder, "key.pem")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                    "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate], check=True, capture_output=True)
    context = ssl.create_default_context(cafile=certificate)
    return ["--tls-listen", f"127.0.0.1:{free_port()}", "--cert", certificate, "--key", key], context


def tls_port_of(flags):
    return int(flags[flags.index("--tls-listen") + 1].rsplit(":", 1)[1])


def make_tests(name, standard, cases, flags=("--echo",)):
    """Puts <name> and, where the program has TLS, <name>Tls into the calling module, a test method for each case."""
    module = sys.modules[sys._getframe(1).f_globals["__name__"]]
    if not getattr(module, "load_tests", None):
        module.load_tests = load_tests_of(module)
    for over_tls in (False, True):
        if over_tls and not has_tls():
            setattr(module, name + "Tls", type(name + "Tls", (WithoutTls,), {"__module__": module.__name__}))
            continue
        members = {"standard": standard, "flags": tuple(flags), "cases": tuple(cases), "over_tls": over_tls, "__module__": module.__name__}
        for index, case in enumerate(cases):
            def test(self, index=index):
                self.outcome(index)
            test.__doc__ = f"{case.section}: {case.why}"
            members[f"test_{index:04}"] = test
        kind = type(name + ("Tls" if over_tls else ""), (TableTest,), members)
        setattr(module, kind.__name__, kind)


def load_tests_of(module):
    def load_tests(loader, tests, pattern):
        unittest.addModuleCleanup(lambda: print(Suite.table(), flush=True))
        return tests
    return load_tests


numbers = itertools.count(1)  # next(numbers): a number that no other case of this process has
