"""A TCP proxy that a test can cut, or make silent, in front of a gateway on loopback."""
import socket
import struct
import threading


class Proxy:
    """One listening port; a context manager. Its connections go to `target`, which may be another gateway later."""

    def __init__(self, target):
        self.target = target
        self.silent = False   # bytes are read and thrown away, in both directions
        self.refuses = False  # new connections are reset
        self.accepted = 0
        self.pairs = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.accepting = threading.Thread(target=self.accept, daemon=True)
        self.accepting.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                if self.refuses:
                    raise ConnectionError
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                reset(client)
                continue
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self.lock:
                self.pairs.add(pair)
            for source, sink in (pair, pair[::-1]):
                threading.Thread(target=self.pump, args=(pair, source, sink), daemon=True).start()

    def pump(self, pair, source, sink):
        try:
            while (data := source.recv(1 << 16)):
                if not self.silent:
                    sink.sendall(data)
        except OSError:
            pass
        self.end(pair)

    def end(self, pair):
        with self.lock:
            mine = pair in self.pairs
            self.pairs.discard(pair)
        if mine:
            for one in pair:
                reset(one)

    def cut(self):
        """Ends all connections, without a word and in the middle of one."""
        for pair in list(self.pairs):
            self.end(pair)

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)  # who waits in accept() leaves it before the descriptor is another's
        self.accepting.join()
        self.listener.close()
        self.cut()


def reset(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RDWR)  # wakes who is reading it
    except OSError:
        pass
    connection.close()
