/**
 * A service of raw bytes that answers as it is told, and counts how often it is asked, and on how many connections. It
 * knows just enough of HTTP to see where a request ends.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export class Scripted {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** Called for each request when its head has come, and perhaps some of its body. */
  onHead: (socket: Socket, head: string) => void = () => {};
  /** Called for each request when it is whole. */
  onRequest: (socket: Socket, head: string) => void = () => {};
  /** Requests so far. */
  asked = 0;
  /** Heads so far, whole or not. */
  heads = 0;
  port = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<Scripted> {
    const server = createServer({ noDelay: true, allowHalfOpen: true });
    const self = new Scripted(server);
    server.on("connection", (socket) => self.#serve(socket));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    self.port = (server.address() as AddressInfo).port;
    return self;
  }

  #serve(socket: Socket): void {
    this.#open.add(socket);
    let text = "";
    let begun = false;
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const headEnd = text.indexOf("\r\n\r\n") + 4;
      if (headEnd < 4) return;
      const head = text.slice(0, headEnd);
      if (!begun) {
        begun = true;
        this.heads++;
        this.onHead(socket, head);
      }
      const end = bodyEnd(head, text);
      if (end === -1) return;
      text = text.slice(end);
      begun = false;
      this.asked++;
      this.onRequest(socket, head);
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => this.#open.delete(socket));
  }

  get open(): number {
    return this.#open.size;
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await once(this.#server, "close");
  }
}

/** Where a request ends; -1 when it is not whole. The gateway's own spelling is all that comes here. */
function bodyEnd(head: string, text: string): number {
  if (head.includes("\r\ntransfer-encoding: chunked\r\n")) {
    const last = text.indexOf("0\r\n\r\n", head.length);
    return last === -1 ? -1 : last + 5;
  }
  const end = head.length + Number(/\r\ncontent-length: (\d+)\r\n/.exec(head)?.[1] ?? 0);
  return text.length < end ? -1 : end;
}
