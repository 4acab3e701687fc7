/**
 * A service of raw bytes that answers as it is told, and counts how often it is asked, and on how many connections. It
 * knows just enough of HTTP to see where a request ends.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

export class Scripted {
  readonly #server: Server;
  readonly #open = new Set<Socket>();
  /** Called for each request when it is whole. */
  onRequest: (socket: Socket, head: string) => void = () => {};
  /** Requests so far. */
  asked = 0;
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
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      const headEnd = text.indexOf("\r\n\r\n") + 4;
      if (headEnd < 4) return;
      const end = headEnd + Number(/\r\ncontent-length: (\d+)\r\n/.exec(text)?.[1] ?? 0);
      if (text.length < end) return;
      const head = text.slice(0, headEnd);
      text = text.slice(end);
      this.asked++;
      this.onRequest(socket, head);
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => this.#open.delete(socket));
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
    await once(this.#server, "close");
  }
}
