/**
 * The server of large bodies: GET /BYTES answers with so many, any other method is answered with how many came and, where
 * the target ends with `?compare`, whether they were the right ones. Just enough HTTP for bodies of a known length.
 */
import { type AddressInfo, createServer, type Socket } from "node:net";
import { BodyReader, writeBody } from "../load/body.ts";
import { announce } from "./announce.ts";

function serve(socket: Socket): void {
  let head = "";
  let left = 0;
  let reader = new BodyReader(false);
  const answer = (text: string): void => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${text.length}\r\n\r\n${text}`);
  };
  const onHead = (): void => {
    const [method, target = ""] = head.split(" ", 2);
    const bytes = Number(/^\/(\d+)/.exec(target)?.[1] ?? 0);
    if (method === "GET") {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${bytes}\r\n\r\n`);
      writeBody(socket, bytes, () => {});
      return;
    }
    reader = new BodyReader(target.endsWith("?compare"));
    left = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
    if (left === 0) answer("0 right");
  };
  const onBody = (chunk: Buffer): void => {
    reader.feed(chunk);
    left -= chunk.length;
    if (left === 0) answer(`${reader.bytes} ${reader.isRight ? "right" : "wrong"}`);
  };
  socket.on("data", (chunk: Buffer) => {
    if (left > 0) return onBody(chunk);
    const known = head.length;
    head += chunk.toString("latin1");
    const end = head.indexOf("\r\n\r\n");
    if (end < 0) return;
    onHead();
    head = "";
    if (end + 4 - known < chunk.length) onBody(chunk.subarray(end + 4 - known));
  });
  socket.on("error", () => socket.destroy());
}

const server = createServer({ noDelay: true }, serve);
server.listen(0, "127.0.0.1", () => announce((server.address() as AddressInfo).port));
