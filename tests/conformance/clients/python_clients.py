"""python_clients.py websockets|aiohttp|autobahn BASE KEY TOPIC: the checks of interop.py with a Python library. PLAIN: without compression; CAFILE: whom to trust."""
import asyncio
import json
import os
import ssl
import sys

SIZES = (0, 1, 125, 126, 127, 65535, 65536, 1048576)
TRUST = ssl.create_default_context(cafile=os.environ["CAFILE"]) if os.environ.get("CAFILE") else None
PLAIN = bool(os.environ.get("PLAIN"))


def say(check, result="ok"):
    print(f"{check}\t{result}", flush=True)


async def check(name, promise):
    try:
        await asyncio.wait_for(promise, 20)
        say(name)
    except Exception as error:  # whatever goes wrong is what the check found
        say(name, f"{type(error).__name__}: {error}".replace("\n", " ")[:200])


def same(got, wanted):
    if got != wanted:
        raise AssertionError(f"{str(got)[:60]!r} instead of {str(wanted)[:60]!r}")


class Websockets:
    """The library websockets."""

    @classmethod
    async def open(cls, url, protocols=()):
        import websockets
        self = cls()
        self.version = websockets.__version__
        self.ws = await websockets.connect(url, ssl=TRUST if url.startswith("wss") else None, subprotocols=list(protocols) or None, max_size=None, compression=None if PLAIN else "deflate")
        self.compression = ", ".join(extension.name for extension in self.ws.extensions) or "none"
        self.protocol = self.ws.subprotocol
        return self

    async def send(self, data):
        await self.ws.send(data)

    async def receive(self):
        return await self.ws.recv()

    async def ping(self):
        await (await self.ws.ping(b"are you there"))

    async def close(self, code):
        await self.ws.close(code, "done ✓")
        return self.ws.close_code

    async def closed(self):
        await self.ws.wait_closed()
        return self.ws.close_code


class Aiohttp:
    @classmethod
    async def open(cls, url, protocols=()):
        import aiohttp
        self = cls()
        self.version = aiohttp.__version__
        self.session = aiohttp.ClientSession()
        self.ws = await self.session.ws_connect(url, ssl=TRUST, protocols=protocols, max_msg_size=0, compress=0 if PLAIN else 15)
        self.compression = "permessage-deflate" if self.ws.compress else "none"
        self.protocol = self.ws.protocol
        return self

    async def send(self, data):
        await (self.ws.send_str(data) if isinstance(data, str) else self.ws.send_bytes(data))

    async def receive(self):
        return (await self.ws.receive()).data

    async def ping(self):
        await self.ws.ping(b"are you there")

    async def close(self, code):
        await self.ws.close(code=code, message="done ✓".encode())
        await self.session.close()
        return self.ws.close_code

    async def closed(self):
        import aiohttp
        while (message := await self.ws.receive()).type not in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.CLOSING):
            pass
        await self.session.close()
        return message.data  # what came: close_code is 1006 where the peer was gone before aiohttp's own answer


class Autobahn:
    @classmethod
    async def open(cls, url, protocols=()):
        import autobahn
        from autobahn.asyncio.websocket import WebSocketClientFactory, WebSocketClientProtocol
        from autobahn.websocket.compress import PerMessageDeflateOffer, PerMessageDeflateResponse, PerMessageDeflateResponseAccept
        from urllib.parse import urlparse
        self = cls()
        self.version = autobahn.__version__
        self.inbox, self.pongs = asyncio.Queue(), asyncio.Queue()
        self.is_open, self.is_closed = asyncio.get_event_loop().create_future(), asyncio.get_event_loop().create_future()

        class Protocol(WebSocketClientProtocol):
            def onConnect(me, response):
                self.compression, self.protocol = ", ".join(map(str, response.extensions)) and "permessage-deflate" or "none", response.protocol

            def onOpen(me):
                self.is_open.set_result(True)

            def onMessage(me, payload, is_binary):
                self.inbox.put_nowait(payload if is_binary else payload.decode())

            def onPong(me, payload):
                self.pongs.put_nowait(payload)

            def onClose(me, was_clean, code, reason):
                if not self.is_open.done():
                    self.is_open.set_exception(ConnectionError(reason))
                if not self.is_closed.done():
                    self.is_closed.set_result(me.remoteCloseCode or code)

        factory = WebSocketClientFactory(url, protocols=list(protocols) or None)
        factory.protocol = Protocol
        if not PLAIN:
            factory.setProtocolOptions(perMessageCompressionOffers=[PerMessageDeflateOffer()], perMessageCompressionAccept=lambda response: PerMessageDeflateResponseAccept(response) if isinstance(response, PerMessageDeflateResponse) else None)
        parts = urlparse(url)
        _, self.ws = await asyncio.get_event_loop().create_connection(factory, parts.hostname, parts.port, ssl=TRUST if parts.scheme == "wss" else None, server_hostname=parts.hostname if parts.scheme == "wss" else None)
        await self.is_open
        return self

    async def send(self, data):
        self.ws.sendMessage(data.encode() if isinstance(data, str) else data, isinstance(data, bytes))

    async def receive(self):
        return await self.inbox.get()

    async def ping(self):
        self.ws.sendPing(b"are you there")
        same(await self.pongs.get(), b"are you there")

    async def close(self, code):
        self.ws.sendClose(code, "done ✓")
        return await self.is_closed

    async def closed(self):
        return await self.is_closed


async def main(kind, base, key, topic):
    client = {"websockets": Websockets, "aiohttp": Aiohttp, "autobahn": Autobahn}[kind]
    echo = None

    async def connect():
        nonlocal echo
        echo = await client.open(base + "/v1/echo")

    async def echoes(data):
        await echo.send(data)
        same(await echo.receive(), data)

    async def closes(code):
        one = await client.open(base + "/v1/echo")
        same(await one.close(code), code)

    async def is_closed(path, code, data=None):
        one = await client.open(base + path)
        if data is not None:
            await one.send(data)
        while True:
            try:
                same(await one.closed(), code)
                return
            except asyncio.QueueEmpty:
                pass

    async def many():
        for n in range(500):
            await echo.send(f"message {n}")
        for n in range(500):
            same(await echo.receive(), f"message {n}")

    async def session():
        one = await client.open(f"{base}/v1/ws?topics={topic}", ("ringcast.v1", "ringcast.token." + key))
        same(one.protocol, "ringcast.v1")
        for op in ("hello", "subscribed"):
            same(json.loads(await one.receive())["op"], op)
        await one.send(json.dumps({"op": "publish", "id": 1, "topic": topic, "data": {"p": 1.5, "name": "é€😀"}}))
        same(json.loads(await one.receive())["op"], "published")
        update = json.loads(await one.receive())
        if update.get("op") == "topic":
            update = json.loads(await one.receive())
        same(update["data"]["name"], "é€😀")
        same(await one.close(1000), 1000)

    await check("connect", connect())
    if echo is None:
        return
    for size in SIZES:
        await check(f"text {size}", echoes(("abcdé€😀xyz " * (size // 10 + 1))[:size]))
        await check(f"binary {size}", echoes((bytes(range(251)) * (size // 251 + 1))[:size]))
    await check("many at once", many())
    await check("ping", echo.ping())
    say("compression", echo.compression)
    say("version", echo.version)
    for code in (1000, 3000, 4999):
        await check(f"close {code}", closes(code))
    await check("closed 1003", is_closed("/v1/ws", 1003, b"\x01\x02"))
    await check("closed 4400", is_closed("/v1/ws?mode=wrong", 4400))
    await check("session", session())
    await check("goodbye", echo.close(1000))


asyncio.run(main(*sys.argv[1:]))
