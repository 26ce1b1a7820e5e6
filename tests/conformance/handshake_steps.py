"""The opening handshake as a case of a table sends it, and what a good answer is."""
from client import TEXT, accept_of, deadline_in, frame
from http_steps import held_to_the_letter

KEY_OF_RFC = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {"Host": "localhost", "Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY_OF_RFC, "Sec-WebSocket-Version": "13"}


def handshake(path="/v1/echo", method="GET", version="HTTP/1.1", add=(), **change):
    """change: header names with _ for -, None to leave one out."""
    headers = {**GOOD, **{name.replace("_", "-"): value for name, value in change.items()}}
    lines = [f"{method} {path} {version}"] + [f"{name}: {value}" for name, value in headers.items() if value is not None] + list(add)
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def upgrades(protocol=None, key=KEY_OF_RFC, extensions=None):
    """101 as the standard wants it, and then frames."""
    def step(http):
        response = http.response()
        if response.status != 101:
            raise AssertionError(f"{response}")
        held_to_the_letter(response)
        expected = {"Sec-WebSocket-Accept": accept_of(key), "Sec-WebSocket-Protocol": protocol, "Sec-WebSocket-Version": None, "Content-Length": None, "Transfer-Encoding": None, "Sec-WebSocket-Extensions": extensions}
        for name, value in expected.items():
            if response.header(name) != value:
                raise AssertionError(f"{name}: {response.header(name)!r} instead of {value!r}")
    return step


def echoes(http):
    http.send(frame(TEXT, b"hello"))
    if (got := http.take(7, deadline_in())) != b"\x81\x05hello":
        raise AssertionError(f"{got!r} instead of an echo")
