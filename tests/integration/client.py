"""A WebSocket and an HTTP client over a raw socket, able to say legal and illegal things.

Promise: nothing is added or repaired behind the test's back, what the gateway sends is held to the letter of the RFCs, and no wait is
without an end: each has a deadline of PATIENCE seconds (RINGCAST_TEST_PATIENCE), and running into it is a failure.
"""
import base64
import hashlib
import json
import os
import socket
import ssl
import struct
import time
import zlib
from collections import deque
from urllib.parse import quote

PATIENCE = float(os.environ.get("RINGCAST_TEST_PATIENCE", "10"))

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
MASK = b"\x37\xfa\x21\x3d"


def localhost():
    """This computer, by its name where the resolver knows it: a minimal root has no file that says so."""
    try:
        socket.getaddrinfo("localhost", None)
        return "localhost"
    except OSError:
        return "127.0.0.1"


LOCALHOST = localhost()


class TooLate(AssertionError):
    """What was promised did not come in time."""


class BrokenPeer(AssertionError):
    """The gateway sent what RFC 6455 or RFC 9112 forbid."""


class Ended(AssertionError):
    """The connection ended where something was still expected."""


class Refused(AssertionError):
    """A handshake was answered by another status than 101."""

    def __init__(self, response):
        super().__init__(f"handshake refused: {response}")
        self.response = response


class Closed(AssertionError):
    """A close frame came: a result where a test awaits it, a failure elsewhere."""

    def __init__(self, code, reason):
        super().__init__(f"closed by the gateway: {code} {reason!r}")
        self.code, self.reason = code, reason


def deadline_in(seconds=None):
    return time.monotonic() + (PATIENCE if seconds is None else seconds)


class TlsPort(int):
    """A port where TLS is spoken, and how: whoever connects to it does so over TLS."""

    def __new__(cls, port, context, name="localhost"):
        self = super().__new__(cls, port)
        self.context, self.name = context, name
        return self


class Tcp:
    """A connection and the bytes of it that were not read yet."""

    host = "127.0.0.1"

    def __init__(self, port, receive_bytes=None, host=None):
        self.port = port
        self.buffer = bytearray()
        self.ended = False
        self.was_reset = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        if receive_bytes is not None:  # before connect: it bounds the window that is offered
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect((host or self.host, port))
        except OSError:
            self.socket.close()
            raise
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if isinstance(port, TlsPort):
            self.socket = port.context.wrap_socket(self.socket, server_hostname=port.name)
        self.connected()

    def connected(self):
        """For who puts something between the socket and the bytes, as TLS."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, data):
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.sendall(data)
        except (ssl.SSLEOFError, ssl.SSLZeroReturnError) as fault:  # what TLS makes of a pipe that is broken
            raise BrokenPipeError(str(fault)) from fault
        return self

    def send_in_pieces(self, data, size=1):
        for at in range(0, len(data), size):
            self.send(data[at:at + size])
        return self

    def send_as_far_as_taken(self, data):
        """For peers that may hang up while we still speak: what they answered must be readable all the same."""
        try:
            self.send(data)
        except ConnectionError:
            pass
        return self

    def half_close(self):
        try:
            socket.socket.shutdown(self.socket, socket.SHUT_WR)  # an SSLSocket's own would forget its keys
        except OSError:
            pass  # the peer was faster
        return self

    def reset(self):
        """Ends with RST instead of FIN, as a peer does that lost its power or its patience."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()
        self.ended = True

    def close(self):
        self.socket.close()
        self.ended = True

    def fill(self, deadline):
        """Takes what has come; False at the end of the stream (FIN or RST: was_reset)."""
        if self.ended:
            return False
        left = deadline - time.monotonic()
        try:
            if left <= 0:
                raise TimeoutError
            self.socket.settimeout(left)
            data = self.socket.recv(1 << 18)
        except TimeoutError:
            raise TooLate(f"nothing came in time; unread so far: {bytes(self.buffer[:300])!r}") from None
        except ConnectionError:
            self.was_reset, data = True, b""
        if not data:
            self.ended = True
            return False
        self.buffer += data
        return True

    def take(self, count, deadline):
        while len(self.buffer) < count:
            if not self.fill(deadline):
                raise Ended(f"the stream ended with {len(self.buffer)} of {count} bytes: {bytes(self.buffer[:300])!r}")
        taken = bytes(self.buffer[:count])
        del self.buffer[:count]
        return taken

    def take_line(self, deadline):
        while (at := self.buffer.find(b"\r\n")) < 0:
            if not self.fill(deadline):
                raise Ended(f"the stream ended within a line: {bytes(self.buffer[:300])!r}")
        return self.take(at + 2, deadline)[:-2]

    def read_to_end(self, seconds=None):
        deadline = deadline_in(seconds)
        while self.fill(deadline):
            pass
        rest = bytes(self.buffer)
        self.buffer.clear()
        return rest

    def expect_end(self, seconds=None):
        """The peer hangs up and says nothing more."""
        rest = self.read_to_end(seconds)
        if rest:
            raise BrokenPeer(f"bytes came where the end was due: {rest[:300]!r}")


# ---------------------------------------------------------------------------------------------------------------- HTTP

class Response:
    def __init__(self, version, status, headers, body):
        self.version, self.status, self.headers, self.body = version, status, headers, body

    def __repr__(self):
        return f"<{self.status} {self.body[:300]!r}>"

    def header(self, name):
        """The value, None where it is absent; twice is a fault of the gateway."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        if len(values) > 1:
            raise BrokenPeer(f"header {name} twice: {values}")
        return values[0] if values else None

    def json(self):
        return json.loads(self.body)

    @property
    def code(self):
        """The code of an error body, which must have exactly the documented form."""
        error = self.json()["error"]
        if not (isinstance(error["code"], str) and isinstance(error["message"], str) and error["message"]):
            raise BrokenPeer(f"not the form of an error: {self.body!r}")
        return error["code"]

    @property
    def message(self):
        return self.json()["error"]["message"]


def http_request(port, method, path, headers=(), body=None, version="HTTP/1.1", host=True):
    """The bytes of a request; body is given a Content-Length unless the headers already say how long it is."""
    lines = [f"{method} {path} {version}"]
    if host:
        lines.append(f"Host: 127.0.0.1:{port}")
    headers = list(headers)
    lines += [f"{name}: {value}" for name, value in headers]
    said = {name.lower() for name, _ in headers}
    if body is not None and not said & {"content-length", "transfer-encoding"}:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")


def chunked(*chunks, trailer=b""):
    return b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n" + trailer + b"\r\n"


class Http(Tcp):
    def request(self, method, path, headers=(), body=None, **how):
        return self.send(http_request(self.port, method, path, headers, body, **how))

    def response(self, seconds=None, to_head=False):
        """Reads one response; to_head: it answers HEAD and has no body whatever its headers say."""
        deadline = deadline_in(seconds)
        while True:
            line = self.take_line(deadline)
            parts = line.split(b" ", 2)
            if len(parts) < 2 or parts[0] not in (b"HTTP/1.1", b"HTTP/1.0") or not (len(parts[1]) == 3 and parts[1].isdigit()):
                raise BrokenPeer(f"not a status line: {line!r}")
            status = int(parts[1])
            headers = []
            while (line := self.take_line(deadline)):
                name, colon, value = line.partition(b":")
                if not colon or not name or name != name.strip():
                    raise BrokenPeer(f"not a header line: {line!r}")
                headers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
            if status == 100:
                self.continued = True
                continue
            break
        response = Response(parts[0].decode(), status, headers, b"")
        if to_head or status in (101, 204, 304):
            return response
        coding, length = response.header("Transfer-Encoding"), response.header("Content-Length")
        if coding is not None:
            if coding.lower() != "chunked" or length is not None:
                raise BrokenPeer(f"framed by {coding!r} and {length!r}")
            while (size := int(self.take_line(deadline).split(b";")[0], 16)):
                response.body += self.take(size, deadline)
                if self.take(2, deadline) != b"\r\n":
                    raise BrokenPeer("a chunk does not end where it said")
            while self.take_line(deadline):
                pass
        elif length is not None:
            response.body = self.take(int(length), deadline)
        else:
            response.body = self.read_to_end(deadline - time.monotonic())
        return response


def fetch(port, method, path, headers=(), body=None, **how):
    """One request on a connection of its own."""
    with Http(port) as http:
        http.request(method, path, headers, body, **how)
        return http.response(to_head=method == "HEAD")


# ----------------------------------------------------------------------------------------------------------- WebSocket

def masked(payload, mask=MASK):
    if not payload:
        return b""
    stream = (mask * (len(payload) // 4 + 1))[:len(payload)]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(stream, "big")).to_bytes(len(payload), "big")


def frame(opcode, payload=b"", fin=True, rsv=0, mask=MASK, length_form=None, length=None):
    """A client frame, or what looks like one.
    mask         None: the illegal unmasked frame
    length_form  7, 16 or 64 bits, None: the shortest as the RFC demands
    length       what the header claims where it lies about the payload
    """
    claimed = len(payload) if length is None else length
    form = length_form or (7 if claimed < 126 else 16 if claimed < 65536 else 64)
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0 if mask is None else 0x80
    if form == 7:
        head += bytes([bit | claimed])
    elif form == 16:
        head += bytes([bit | 126]) + struct.pack(">H", claimed)
    else:
        head += bytes([bit | 127]) + struct.pack(">Q", claimed)
    return head + (payload if mask is None else mask + masked(payload, mask))


def deflated(payload, last=False):
    """A message's payload as permessage-deflate has it; last: its blocks end with one that says so (RFC 7692, 7.2.3.4)."""
    maker = zlib.compressobj(wbits=-15)
    return maker.compress(payload) + maker.flush() + b"\0" if last else (maker.compress(payload) + maker.flush(zlib.Z_SYNC_FLUSH))[:-4]


def inflated(payload):
    taker = zlib.decompressobj(wbits=-15)
    message = taker.decompress(payload + b"\0\0\xff\xff")
    if taker.unused_data or taker.eof:
        raise BrokenPeer(f"the blocks of a compressed message end in the middle: {payload[:100]!r}")
    return message


def close_payload(code, reason=b""):
    return struct.pack(">H", code) + reason


def handshake(port, path="/v1/ws", method="GET", version="HTTP/1.1", key="dGhlIHNhbXBsZSBub25jZQ==", change=None, add=()):
    """The bytes of an opening handshake.
    change  {header: value, or None to leave it out}
    add     further (header, value), sent as they are: a header may come twice
    """
    headers = {"Host": f"127.0.0.1:{port}", "Upgrade": "websocket", "Connection": "Upgrade",
               "Sec-WebSocket-Key": key, "Sec-WebSocket-Version": "13"}
    headers.update(change or {})
    lines = [f"{method} {path} {version}"] + [f"{name}: {value}" for name, value in headers.items() if value is not None]
    return ("\r\n".join(lines + [f"{name}: {value}" for name, value in add]) + "\r\n\r\n").encode("latin-1")


def accept_of(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


class Message(dict):
    """A message of the gateway, with the text it came as."""
    raw = ""

    @property
    def is_update(self):
        return "op" not in self


class Ws(Http):
    """A connection after a good handshake.
    add, change   as in handshake()
    protocols     what to offer in Sec-WebSocket-Protocol
    piece         how many bytes of the handshake to send at once (None: all)
    with_it       bytes to send in the same packet as the handshake
    """

    offers = ()        # headers that each connection adds: a class of tests may have all of its connections offer something
    all_deflated = 0   # messages that came compressed, of all connections

    def __init__(self, port, path="/v1/ws", add=(), change=None, protocols=(), piece=None, with_it=b"", receive_bytes=None, host=None):
        super().__init__(port, receive_bytes, host)
        self.upgrade(path, add, change, protocols, piece, with_it)

    def upgrade(self, path="/v1/ws", add=(), change=None, protocols=(), piece=None, with_it=b""):
        self.answers_pings = True
        self.deflates = False # permessage-deflate was agreed
        self.messages_deflated = self.message_bytes = 0  # how many came compressed; bytes of the last one's payload as it came
        self.pings = []       # payloads of the gateway's pings
        self.pongs = []       # and of its pongs, as read_message() met them
        self.stash = deque()  # messages that came before a reply which ask() awaited
        self.last_id = 0
        add = [*Ws.offers, *add]
        if protocols:
            add.append(("Sec-WebSocket-Protocol", ", ".join(protocols)))
        key = base64.b64encode(os.urandom(16)).decode()
        request = handshake(self.port, path, key=key, change=change, add=add) + with_it
        self.send_in_pieces(request, piece or len(request))
        try:
            self.answer = self.response()
            if self.answer.status != 101:
                raise Refused(self.answer)
            if self.answer.header("Sec-WebSocket-Accept") != accept_of(key):
                raise BrokenPeer(f"wrong Sec-WebSocket-Accept: {self.answer.headers}")
            if (self.answer.header("Upgrade") or "").lower() != "websocket" or (self.answer.header("Connection") or "").lower() != "upgrade":
                raise BrokenPeer(f"not an upgrade: {self.answer.headers}")
            self.deflates = "permessage-deflate" in (self.answer.header("Sec-WebSocket-Extensions") or "")
        except BaseException:
            self.close()
            raise

    # frames

    def send_frame(self, opcode, payload=b"", **how):
        return self.send(frame(opcode, payload, **how))

    def read_frame(self, seconds=None):
        """(fin, opcode, payload) of the next frame, held to what a server may send; self.marked: it says that the message is compressed."""
        deadline = deadline_in(seconds)
        first, second = self.take(2, deadline)
        fin, rsv, opcode, length = bool(first & 0x80), first >> 4 & 7, first & 15, second & 127
        self.marked = rsv == 4 and self.deflates and opcode in (TEXT, BINARY)
        if (rsv and not self.marked) or second & 0x80 or opcode not in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG):
            raise BrokenPeer(f"frame begins {first:02x} {second:02x}")
        if opcode >= CLOSE and (not fin or length > 125):
            raise BrokenPeer(f"control frame begins {first:02x} {second:02x}")
        if length == 126:
            length, = struct.unpack(">H", self.take(2, deadline))
            minimal = length > 125
        elif length == 127:
            length, = struct.unpack(">Q", self.take(8, deadline))
            minimal = 65535 < length < 1 << 63
        else:
            minimal = True
        if not minimal:
            raise BrokenPeer(f"length {length} is not written in its shortest form")
        return fin, opcode, self.take(length, deadline)

    def read_message(self, seconds=None):
        """(opcode, bytes) of the next data message. Pings are answered (unless answers_pings is off), pongs set aside, a close
        frame raises Closed, the end of the stream Ended."""
        deadline = deadline_in(seconds)
        kind, parts = None, []
        while True:
            fin, opcode, payload = self.read_frame(deadline - time.monotonic())
            if opcode == CLOSE:
                raise self.closed_by(payload)
            if opcode == PING:
                self.pings.append(payload)
                if self.answers_pings:
                    self.send_as_far_as_taken(frame(PONG, payload))
            elif opcode == PONG:
                self.pongs.append(payload)
            else:
                if (opcode == CONTINUATION) != (kind is not None):
                    raise BrokenPeer(f"opcode {opcode} while {'a' if kind else 'no'} message is open")
                compressed = self.marked if kind is None else compressed
                kind = kind or opcode
                parts.append(payload)
                if fin:
                    data = b"".join(parts)
                    self.message_bytes = len(data)
                    if compressed:
                        data = inflated(data)
                        self.messages_deflated += 1
                        Ws.all_deflated += 1
                    if kind == TEXT:
                        data.decode()  # raises where it is not UTF-8
                    return kind, data

    @staticmethod
    def closed_by(payload):
        if len(payload) == 1:
            raise BrokenPeer("a close frame with a payload of one byte")
        return Closed(struct.unpack(">H", payload[:2])[0], payload[2:].decode()) if payload else Closed(None, "")

    def expect_pong(self, payload, seconds=None):
        if payload in self.pongs:  # it came before a message that was read
            self.pongs.remove(payload)
            return
        fin, opcode, got = self.read_frame(seconds)
        if (opcode, got) != (PONG, payload):
            raise BrokenPeer(f"instead of a pong of {payload!r}: opcode {opcode} {got!r}")

    def expect_close(self, *codes, seconds=None, reason=True):
        """Reads up to the gateway's close frame, demands one of the codes and, with it, plain words; answers it and awaits the
        end of the stream. Returns the messages that came before. A reason is promised for closes that the gateway begins."""
        deadline = deadline_in(seconds)
        before = list(self.stash)
        self.stash.clear()
        try:
            while True:
                kind, data = self.read_message(deadline - time.monotonic())
                before.append(self.parsed(kind, data) if kind == TEXT else data)
        except Closed as closed:
            if closed.code not in codes:
                raise AssertionError(f"close {closed.code} {closed.reason!r} instead of {codes}; before it: {before}") from None
            if reason and not closed.reason:
                raise AssertionError(f"close {closed.code} without a word of reason") from None
            self.close_code, self.close_reason = closed.code, closed.reason
            self.send_as_far_as_taken(frame(CLOSE, close_payload(closed.code) if closed.code else b""))
            if closed.code in (1002, 1003, 1007, 1009):
                self.half_close()  # where frames begin is lost: the answer may not be found in what we sent
        self.expect_end(deadline - time.monotonic())
        return before

    # messages of ringcast.v1

    def send_text(self, text):
        return self.send_frame(TEXT, text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))

    def send_json(self, *objects):
        """Several objects are the lines of one message."""
        return self.send_text("\n".join(json.dumps(one) for one in objects))

    @staticmethod
    def parsed(kind, data):
        if kind != TEXT:
            raise BrokenPeer(f"a binary message: {data[:100]!r}")
        try:
            message = Message(json.loads(data))
        except (ValueError, TypeError):
            return data  # an echo of something else; the caller knows
        message.raw = data.decode()
        return message

    def read(self, seconds=None):
        """The next message of the gateway, in the order they came."""
        if self.stash:
            return self.stash.popleft()
        return self.parsed(*self.read_message(seconds))

    def ask(self, op, **fields):
        """Sends a request with an id of its own and returns its reply; what came before the reply is kept for read()."""
        self.last_id += 1
        asked = f"ask-{self.last_id}"
        self.send_json({"op": op, "id": asked, **fields})
        deadline = deadline_in()
        while True:
            message = self.parsed(*self.read_message(deadline - time.monotonic()))
            if message.get("id") == asked:
                return message
            self.stash.append(message)

    def quiet(self):
        """What came before the answer to a ping sent now: an empty list where nothing did."""
        self.ask("ping")
        came = list(self.stash)
        self.stash.clear()
        return came

    def hang_up(self):
        """The closing handshake from our side."""
        self.send_frame(CLOSE, close_payload(1000, b"done"))
        self.expect_close(1000, reason=False)


def path_of(topic, rest=""):
    return f"/v1/topics/{quote(topic, safe='')}{rest}"
