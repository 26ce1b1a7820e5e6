"""Certificates for tests, made by openssl: an authority and what it signs.

Promise: each authority lives in a directory of its own that goes with it; nothing of it is trusted by anybody but whom the test gives it.
"""
import os
import ssl
import subprocess
import tempfile

from client import TlsPort

KINDS = {
    "ecdsa": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
    "rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
    "ed25519": ["-algorithm", "ED25519"],
}


def openssl(*words, **how):
    done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=60, **how)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(words)}: {done.stderr.decode()}")
    return done.stdout


class Authority:
    """Signs certificates; a context manager."""

    def __init__(self, name="ringcast test authority"):
        self.directory = tempfile.TemporaryDirectory(prefix="ringcast-certificates-")
        self.certificate, self.key = self.path("ca.pem"), self.path("ca.key")
        openssl("genpkey", *KINDS["ecdsa"], "-out", self.key)
        openssl("req", "-x509", "-new", "-key", self.key, "-out", self.certificate, "-days", "2", "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE",
                "-addext", "keyUsage=critical,keyCertSign,cRLSign")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.directory.cleanup()

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def issue(self, name, hosts=("localhost",), kind="ecdsa", days=2, by=None, authority=False, addresses=("127.0.0.1",)):
        """A certificate for these names, and its key: two paths. by: an intermediate (certificate, key), whose chain goes with it."""
        certificate, key, extensions = self.path(f"{name}.pem"), self.path(f"{name}.key"), self.path(f"{name}.ext")
        signer = by or (self.certificate, self.key)
        openssl("genpkey", *KINDS[kind], "-out", key)
        openssl("req", "-new", "-key", key, "-out", self.path(f"{name}.csr"), "-subj", f"/CN={hosts[0] if hosts else name}")
        names = ",".join([f"DNS:{host}" for host in hosts] + [f"IP:{address}" for address in addresses])
        with open(extensions, "w", encoding="ascii") as file:
            file.write("basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n" if authority else f"basicConstraints=CA:FALSE\nsubjectAltName={names}\n")
        openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", signer[0], "-CAkey", signer[1], "-CAcreateserial", "-days", str(days), "-out", certificate, "-extfile", extensions)
        if by:
            with open(certificate, "ab") as file, open(by[0], "rb") as between:
                file.write(between.read())
        return certificate, key

    def context(self, *, version=None, alpn=("http/1.1",), certificate=None):
        """How a client connects who trusts this authority alone. version: exactly this one. certificate: (certificate, key) of its own."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.certificate)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if version:
            context.minimum_version = context.maximum_version = version
        if certificate:
            context.load_cert_chain(*certificate)
        return context

    def port(self, number, name="localhost", **how):
        return TlsPort(number, self.context(**how), name)
