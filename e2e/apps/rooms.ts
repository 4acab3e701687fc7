/** An application for the tests of rooms over plain HTTP: a page that reads one with an EventSource, and the rules. */
import { createServer } from "node:http";
import { Server } from "@tideway/realtime";

const page = `<!doctype html><title>rooms</title><script>
  const got = [], gaps = [];
  let opened = 0;
  const source = new EventSource("/socket.io/rooms/news/events?after=0");
  source.addEventListener("open", () => opened++);
  source.addEventListener("n", (event) => got.push(JSON.parse(event.data)[0]));
  source.addEventListener("tideway:gap", (event) => gaps.push(event.data));
</script>`;

const http = createServer((request, response) => {
  request.resume();
  response.setHeader("content-type", "text/html");
  response.end(page);
});
const io = new Server();
io.open("news", { read: true, publish: async (handshake) => handshake.headers["x-key"] === "good" });
io.open(/staff-\d+/, { read: async (handshake) => handshake.headers["x-key"] === "good" });
http.listen(Number(process.env["PORT"]), "127.0.0.1");
process.on("SIGTERM", () => {
  http.close();
  http.closeIdleConnections();
  void io.close();
});
