"""A TLS server of Python's in front of a gateway's plain port, for tests of our own clients: of any certificate, version and ending."""
import asyncio
import os
import ssl
import subprocess
import tempfile
import threading


def openssl(*words):
    done = subprocess.run(["openssl", *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    if done.returncode:
        raise AssertionError(f"openssl {' '.join(words)}: {done.stderr.decode()}")


class Certificates:
    """An authority and what it signs, in a directory that goes with it."""
    KINDS = {"ecdsa": ("EC", "ec_paramgen_curve:P-256"), "p384": ("EC", "ec_paramgen_curve:P-384"), "rsa": ("RSA", "rsa_keygen_bits:2048"), "ed25519": ("ED25519", None)}

    def __init__(self):
        self.directory = tempfile.TemporaryDirectory(prefix="ringcast-terminator-")
        self.authority = self.path("ca.pem")
        self.make_key("ca", "ecdsa")
        openssl("req", "-x509", "-new", "-key", self.path("ca.key"), "-out", self.authority, "-days", "2", "-subj", "/CN=authority", "-addext", "basicConstraints=critical,CA:TRUE")

    def path(self, name):
        return os.path.join(self.directory.name, name)

    def make_key(self, name, kind):
        algorithm, option = self.KINDS[kind]
        openssl("genpkey", "-algorithm", algorithm, *(["-pkeyopt", option] if option else []), "-out", self.path(f"{name}.key"))

    def issue(self, name, names, kind="ecdsa", days=2):
        """(certificate, key): `names` as openssl spells them, "DNS:localhost,IP:127.0.0.1"."""
        self.make_key(name, kind)
        with open(self.path(f"{name}.ext"), "w", encoding="ascii") as file:
            file.write(f"subjectAltName={names}\n")
        openssl("req", "-new", "-key", self.path(f"{name}.key"), "-out", self.path(f"{name}.csr"), "-subj", "/CN=a name that nobody looks at")
        openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.authority, "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", str(days),
                "-out", self.path(f"{name}.pem"), "-extfile", self.path(f"{name}.ext"))
        return self.path(f"{name}.pem"), self.path(f"{name}.key")


class Terminator:
    """Listens on `host`; a context manager. `most`: bytes of the gateway's that it passes on before it ends without a close_notify."""

    def __init__(self, target, pair, host="127.0.0.1", version=None, most=None):
        self.target, self.host, self.most = target, host, most
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*pair)
        if version:
            self.context.set_ciphers("ALL:@SECLEVEL=0")
            self.context.minimum_version = self.context.maximum_version = version
        self.loop = asyncio.new_event_loop()

    def __enter__(self):
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = asyncio.run_coroutine_threadsafe(asyncio.start_server(self.serve, self.host, 0, ssl=self.context), self.loop).result(10)
        self.port = self.server.sockets[0].getsockname()[1]
        return self

    def __exit__(self, *_):
        asyncio.run_coroutine_threadsafe(self.end(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)

    async def end(self):
        self.server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def serve(self, reader, writer):
        try:
            behind = await asyncio.open_connection("127.0.0.1", self.target)
            await asyncio.gather(self.pass_on(reader, behind[1], None), self.pass_on(behind[0], writer, self.most), return_exceptions=True)
        except asyncio.CancelledError:
            pass  # the end of the test

    async def pass_on(self, reader, writer, most):
        try:
            while data := await reader.read(65536):
                if most is not None and len(data) >= most:
                    writer.write(data[:most])
                    await writer.drain()
                    writer.transport.abort()
                    return
                most = most and most - len(data)
                writer.write(data)
                await writer.drain()
        finally:
            writer.close()
