/**
 * The server behind the proxies: answers each GET with 100 bytes that begin with the request's target, so that a client
 * can tell whose answer it got; `/big` with a MiB. Just enough HTTP for requests without a body.
 */
import { type AddressInfo, createServer } from "node:net";
import { announce } from "./announce.ts";

const bodyBytes = 100;
const bigBytes = 1024 * 1024;
const bigAnswer = Buffer.from(
  `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${bigBytes}\r\n\r\n${"b".repeat(bigBytes)}`,
);

function answer(head: string): string {
  const target = head.slice(head.indexOf(" ") + 1, head.indexOf(" ", head.indexOf(" ") + 1));
  return `HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: ${bodyBytes}\r\n\r\n${target.padEnd(bodyBytes, ".").slice(0, bodyBytes)}`;
}

const server = createServer({ noDelay: true }, (socket) => {
  let rest = "";
  socket.on("data", (chunk) => {
    const heads = (rest + chunk.toString("latin1")).split("\r\n\r\n");
    rest = heads.pop()!;
    if (heads.length === 1 && heads[0]!.startsWith("GET /big ")) socket.write(bigAnswer);
    else if (heads.length > 0) socket.write(heads.map(answer).join(""), "latin1");
  });
  socket.on("error", () => socket.destroy());
});
// A crowd comes at once: who finds no room in the queue would try again after seconds.
server.listen({ port: 0, host: "127.0.0.1", backlog: 4096 }, () => announce((server.address() as AddressInfo).port));
