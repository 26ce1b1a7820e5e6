"""Makes tokens (JWT) and the keys for them: HS256 by the standard library, the others by the openssl command, as anybody would.

Promise: nothing of the gateway's own code takes part, so that what it accepts is what others make.
"""
import base64
import hashlib
import hmac
import json
import os
import subprocess
import time

SECRET = "integration-secret-of-more-than-32-bytes"


def b64(data):
    return base64.urlsafe_b64encode(data if isinstance(data, bytes) else json.dumps(data).encode()).rstrip(b"=").decode()


def claims_of(sub=None, pub=None, max_hz=None, ttl=300, **more):
    rights = {name: value for name, value in (("sub", sub), ("pub", pub), ("max_hz", max_hz)) if value is not None}
    return {"iat": int(time.time()), **({} if ttl is None else {"exp": time.time() + ttl}), "ringcast": rights, **more}


def hs256(claims, secret=SECRET, header=None):
    text = b64({"alg": "HS256", "typ": "JWT", **(header or {})}) + "." + b64(claims)
    return text + "." + b64(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def token(*args, **claims):
    return hs256(claims_of(*args, **claims))


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


class Signer:
    """A key pair on disk. kind: RS256, ES256 or EdDSA."""

    def __init__(self, folder, kind, name):
        self.kind, self.folder = kind, folder
        self.private, self.public = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
        how = {"RS256": ["RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "ES256": ["EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "EdDSA": ["ED25519"]}[kind]
        openssl("genpkey", "-algorithm", *how, "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def sign(self, claims, kid=None, alg=None):
        text = b64({"alg": alg or self.kind, **({} if kid is None else {"kid": kid})}) + "." + b64(claims)
        if self.kind == "EdDSA":  # its input must be a file
            path = os.path.join(self.folder, "text")
            with open(path, "w", encoding="ascii") as file:
                file.write(text)
            signature = openssl("pkeyutl", "-sign", "-rawin", "-inkey", self.private, "-in", path)
        else:
            signature = openssl("dgst", "-sha256", "-sign", self.private, data=text.encode())
        return text + "." + b64(self.raw(signature) if self.kind == "ES256" else signature)

    @staticmethod
    def raw(der):
        """r and s out of DER, 32 bytes each."""
        at, parts = 2, b""
        for _ in range(2):
            size = der[at + 1]
            parts += der[at + 2:at + 2 + size].lstrip(b"\0").rjust(32, b"\0")
            at += 2 + size
        return parts

    def jwk(self, kid):
        """Of the public key's DER the tail is x and y, or the point; RSA's modulus is told by openssl."""
        der = openssl("pkey", "-pubin", "-in", self.public, "-pubout", "-outform", "DER")
        if self.kind == "ES256":
            return {"kty": "EC", "crv": "P-256", "kid": kid, "use": "sig", "x": b64(der[-64:-32]), "y": b64(der[-32:])}
        if self.kind == "EdDSA":
            return {"kty": "OKP", "crv": "Ed25519", "kid": kid, "alg": "EdDSA", "x": b64(der[-32:])}
        modulus = openssl("rsa", "-pubin", "-in", self.public, "-modulus", "-noout").decode().strip().partition("=")[2]
        return {"kty": "RSA", "kid": kid, "alg": "RS256", "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
