/* The checks of interop.py for everything that has the WebSocket of browsers: Chromium, Firefox, Node's own and the package ws.
 * Returns lines of [check, "ok" or what was wrong]. */
async function interopChecks(WebSocketOf, base, key, topic) { // eslint-disable-line no-unused-vars
    const lines = [];
    const sizes = [0, 1, 125, 126, 127, 65535, 65536, 1048576];
    const soon = (promise, what) => Promise.race([promise, new Promise((_, reject) => setTimeout(() => reject(new Error("no " + what + " in time")), 20000))]);
    const open = (path, protocols) => {
        const socket = WebSocketOf(base + path, protocols);
        socket.binaryType = "arraybuffer";
        const inbox = [], waiting = [];
        socket.addEventListener("message", (event) => (waiting.length ? waiting.shift()(event.data) : inbox.push(event.data)));
        socket.next = () => soon(inbox.length ? Promise.resolve(inbox.shift()) : new Promise((resolve) => waiting.push(resolve)), "message");
        socket.ended = soon(new Promise((resolve) => socket.addEventListener("close", resolve)), "close");
        return soon(new Promise((resolve, reject) => {
            socket.addEventListener("open", () => resolve(socket));
            socket.addEventListener("error", (event) => reject(new Error("no connection: " + (event.message ?? ""))));
        }), "connection");
    };
    const check = async (name, body) => {
        try {
            await body();
            lines.push([name, "ok"]);
        } catch (error) {
            lines.push([name, String(error.message ?? error)]);
        }
    };
    const same = (got, wanted, what) => {
        if (got !== wanted) throw new Error(`${what}: ${String(got).slice(0, 60)} instead of ${String(wanted).slice(0, 60)}`);
    };
    const textOf = (size) => "abcdé€😀xyz ".repeat(Math.ceil(size / 10)).slice(0, size).replace(/[\ud800-\udfff]$/, "x").replace(/^[\udc00-\udfff]/, "x");

    let echo = null;
    await check("connect", async () => { echo = await open("/v1/echo"); });
    if (!echo) return lines;
    for (const size of sizes) {
        await check(`text ${size}`, async () => {
            echo.send(textOf(size));
            same(await echo.next(), textOf(size), "the echo");
        });
        await check(`binary ${size}`, async () => {
            const sent = Uint8Array.from({ length: size }, (_, i) => (i * 7 + (i >> 8)) & 255);
            echo.send(sent);
            const got = new Uint8Array(await echo.next());
            same(got.length, size, "the length");
            for (let i = 0; i < size; i++) if (got[i] !== sent[i]) throw new Error(`byte ${i} differs`);
        });
    }
    await check("many at once", async () => {
        for (let n = 0; n < 500; n++) echo.send("message " + n);
        for (let n = 0; n < 500; n++) same(await echo.next(), "message " + n, "in order");
    });
    lines.push(["compression", echo.extensions || "none"]);
    for (const code of [1000, 3000, 4999]) {
        await check(`close ${code}`, async () => {
            const socket = await open("/v1/echo");
            socket.close(code, "done ✓");
            const event = await socket.ended;
            same(event.code, code, "the code");
            same(event.wasClean, true, "clean");
        });
    }
    await check("closed 1003", async () => {
        const socket = await open("/v1/ws", ["ringcast.v1"]);
        socket.send(new Uint8Array([1, 2, 3]));
        const event = await socket.ended;
        same(event.code, 1003, "the code");
        if (!event.reason) throw new Error("no reason");
    });
    await check("closed 4400", async () => {
        const socket = await open("/v1/ws?mode=wrong");
        same((await socket.ended).code, 4400, "the code");
    });
    await check("session", async () => {
        const socket = await open("/v1/ws?topics=" + topic, ["ringcast.v1", "ringcast.token." + key]);
        same(socket.protocol, "ringcast.v1", "the sub-protocol");
        same(JSON.parse(await socket.next()).op, "hello", "first");
        same(JSON.parse(await socket.next()).op, "subscribed", "second");
        socket.send(JSON.stringify({ op: "publish", id: 1, topic, data: { p: 1.5, name: "é€😀" } }));
        same(JSON.parse(await socket.next()).op, "published", "third");
        let update = JSON.parse(await socket.next());
        if (update.op === "topic") update = JSON.parse(await socket.next());
        same(update.data.name, "é€😀", "the update");
        socket.close(1000);
        same((await socket.ended).code, 1000, "the code");
    });
    echo.close(1000);
    await check("goodbye", async () => same((await echo.ended).code, 1000, "the code"));
    return lines;
}
