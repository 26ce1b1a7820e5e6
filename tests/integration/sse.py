"""A reader of Server-Sent Events over a raw socket, held to the letter of what PROTOCOL.md promises of /v1/stream.

Promise: each event is exactly one `data:` line of JSON; a block of `id:` alone stores the position; comments are heartbeats; anything else is
a fault of the gateway.
"""
import json
import time
from urllib.parse import quote

from client import BrokenPeer, Ended, Http, Message, TooLate, deadline_in


class Sse(Http):
    """A stream after its head. headers, last_id: what the request carries beside; version, method as in http_request()."""

    def __init__(self, port, query, headers=(), last_id=None, method="GET", with_it=b"", receive_bytes=None, **how):
        super().__init__(port, receive_bytes)
        self.last_id = last_id
        self.ids = 0
        self.heartbeats = 0
        headers = list(headers) + ([("Last-Event-ID", last_id)] if last_id is not None else [])
        self.request(method, f"/v1/stream?{query}", headers, **how)
        if with_it:
            self.send(with_it)
        self.answer = self.head()

    def head(self):
        deadline = deadline_in()
        parts = self.take_line(deadline).split(b" ", 2)
        headers = []
        while (line := self.take_line(deadline)):
            name, _, value = line.partition(b":")
            headers.append((name.decode(), value.strip().decode()))
        self.status = int(parts[1])
        self.headers = headers
        return self

    def header(self, name):
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        if len(values) > 1:
            raise BrokenPeer(f"header {name} twice: {values}")
        return values[0] if values else None

    def block(self, deadline):
        """The lines of one block, up to the empty line that ends it."""
        while (at := self.buffer.find(b"\n\n")) < 0:
            if not self.fill(deadline):
                raise Ended(f"the stream ended within a block: {bytes(self.buffer[:300])!r}")
        return self.take(at + 2, deadline)[:-2].decode().split("\n")

    def read(self, seconds=None):
        """The next message; ids and heartbeats before it are noted."""
        deadline = deadline_in(seconds)
        while True:
            lines = self.block(deadline)
            if len(lines) != 1:
                raise BrokenPeer(f"a block of several lines: {lines}")
            line = lines[0]
            if line.startswith("data: "):
                message = Message(json.loads(line[6:]))
                message.raw = line[6:]
                return message
            if line.startswith("id: "):
                self.note_id(line[4:])
            elif line.startswith(":"):
                self.heartbeats += 1
            else:
                raise BrokenPeer(f"neither an event, an id nor a comment: {line!r}")

    def note_id(self, text):
        if not text.isascii() or any(ord(character) <= 32 for character in text):
            raise BrokenPeer(f"a position that no header could carry: {text!r}")
        self.ids += 1
        self.last_id = text

    def read_id(self, topics=None, seconds=None):
        """Reads until a position comes, if given one that has exactly these {name: seq}; fails where a message comes first."""
        deadline = deadline_in(seconds)
        before = self.ids
        while True:
            lines = self.block(deadline)
            if lines[0].startswith("id: "):
                self.note_id(lines[0][4:])
                if topics is None or self.position() == topics:
                    return self.last_id
            elif lines[0].startswith("data: "):
                raise AssertionError(f"an event instead of a position: {lines} after {self.ids - before} positions")

    def read_id_after(self, topics):
        """Reads on, messages too, until a position comes that has exactly these {name: seq}."""
        while self.last_id is None or self.position() != topics:
            lines = self.block(deadline_in())
            if lines[0].startswith("id: "):
                self.note_id(lines[0][4:])
        return self.last_id

    def position(self):
        """What the last id says: {name as written: seq}. Its last part says that it names all of which something came."""
        parts = [part.split(":", 2) for part in self.last_id.split(",") if not part.startswith("*")]
        return {name: int(seq) for _, seq, name in parts}

    def parts(self):
        """Those parts of the last id as they are written."""
        return {part for part in self.last_id.split(",") if not part.startswith("*")}

    def quiet(self, seconds):
        """Messages that come within this time; an empty list where none does."""
        came = []
        until = time.monotonic() + seconds
        try:
            while True:
                came.append(self.read(max(0.01, until - time.monotonic())))
        except TooLate:
            return came


def query_of(*topics, **parameters):
    return "topics=" + ",".join(quote(topic, safe="") for topic in topics) + "".join(f"&{name}={value}" for name, value in parameters.items())
