"""A gateway that says on purpose what the real one says seldom, or not within a test's patience."""
import json
import socket
import threading

from client import CLOSE, TEXT, accept_of, close_payload, frame


class FakeGateway:
    """Says what the real one would not say today, or not so soon; keeps what it was asked. A context manager.
    close       the code to close with, instead of a hello
    expires_ms  of each token
    batch       a subscribe is followed by updates in one message: two, the same again, one after a hole
    script      script(request, say, number of the connection) may answer; True: it has
    """

    def __init__(self, asked, close=None, expires_ms=None, batch=False, script=None):
        self.asked, self.close_code, self.expires_ms, self.batch, self.script = asked, close, expires_ms, batch, script
        self.connections = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)  # who waits in accept() leaves it before the descriptor is another's
        self.accepting.join()
        self.listener.close()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self.serve, args=(connection, self.connections), daemon=True).start()

    def serve(self, connection, number):
        stream = connection.makefile("rb")
        try:
            headers = {}
            while (line := stream.readline().strip()):
                name, _, value = line.decode().partition(": ")
                headers[name.lower()] = value
            connection.sendall(f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ringcast.v1\r\nSec-WebSocket-Accept: {accept_of(headers['sec-websocket-key'])}\r\n\r\n".encode())
            if self.close_code:
                connection.sendall(frame(CLOSE, close_payload(self.close_code, b"as the test wants it"), mask=None))
                stream.read(1)
                return

            def say(*messages):
                connection.sendall(frame(TEXT, "\n".join(json.dumps(m) for m in messages).encode(), mask=None))
            say({"op": "hello", "version": "fake", "heartbeat_ms": 25000})
            while True:
                first, second = stream.read(2)
                if first & 15 == CLOSE:
                    connection.sendall(frame(CLOSE, close_payload(1000), mask=None))
                    return
                length = second & 127
                if length >= 126:
                    length = int.from_bytes(stream.read(2 if length == 126 else 8), "big")
                mask, body = stream.read(4), stream.read(length)
                text = bytes(byte ^ mask[at % 4] for at, byte in enumerate(body)).decode()
                for line in text.split("\n"):
                    request = json.loads(line)
                    self.asked.append(request)
                    if not self.script or not self.script(request, say, number):
                        self.reply(request, say)
        except (OSError, ValueError, KeyError):  # it left in the middle of something
            pass
        finally:
            connection.close()

    def reply(self, request, say):
        op = request["op"]
        if op == "subscribe":
            say({"op": "subscribed", "id": request["id"], "topics": [{"topic": t} if set(t) & set("*>") else {"topic": t, "epoch": "epoch-of", "seq": 0} for t in request["topics"]]})
            if self.batch:
                say(*({"topic": request["topics"][0], "seq": n, "ts": n, "data": n} for n in (1, 2, 2, 1, 5)))
        elif op == "auth":
            say({"op": "authenticated", "id": request["id"], "expires_ms": self.expires_ms})
        elif op == "ping":
            say({"op": "pong", "id": request["id"], "ts": 1})
