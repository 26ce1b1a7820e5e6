// A fan-out with Node's ws for `ringcast-bench compare`, as one writes it: each message from /pub goes to all on /sub.
//   node ws.js PORT
"use strict";
const { WebSocketServer } = require("ws");

const server = new WebSocketServer({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096, perMessageDeflate: false });
const subscribers = new Set();

server.on("connection", (socket, request) => {
  socket.on("error", () => socket.terminate());
  if (request.url === "/pub") {
    socket.on("message", (message) => {
      for (const subscriber of subscribers) subscriber.send(message, { binary: false });
    });
    return;
  }
  subscribers.add(socket);
  socket.on("close", () => subscribers.delete(socket));
});

server.on("error", (error) => {
  console.error(error.message);
  process.exit(1);
});
