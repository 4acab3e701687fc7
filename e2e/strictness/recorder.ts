/**
 * A service that writes down every byte it is sent and parses nothing. It answers when exactly what it was told to expect
 * has come, and so cannot be talked into anything: whatever was smuggled stays in the record and fails the comparison.
 */
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { ownHost } from "./case.ts";

/**
 * The lines that the gateway adds to every head. They are left out of comparisons, after each was found exactly once,
 * and only in the form that the gateway writes: what a client forged stays, and shows.
 */
const added: readonly RegExp[] = [
  /^x-forwarded-for: 127\.0\.0\.1\r\n/gm,
  /^x-forwarded-proto: http\r\n/gm,
  /^x-forwarded-host: [^\r\n]*\r\n/gm,
  /^forwarded: for=127\.0\.0\.1;proto=http(?:;host="[^"\r\n]*")?\r\n/gm,
  /^x-request-id: [\w-]+\r\n/gm,
];

/** One framing field, wherever the gateway puts it. */
const framing = /^(?:content-length: \d+|transfer-encoding: chunked)\r\n/gm;

/**
 * A whole head without the lines that are added, its framing field last; as it is when it is not whole, or when one of the
 * lines is not there exactly once.
 */
export function withoutAdded(text: string): string {
  const end = text.indexOf("\r\n\r\n");
  if (end === -1) return text;
  let head = text.slice(0, end + 2);
  for (const pattern of added) {
    if (head.match(pattern)?.length !== 1) return text;
    head = head.replace(pattern, "");
  }
  const [field, ...others] = head.match(framing) ?? [];
  if (field !== undefined && others.length === 0) head = head.replace(field, "") + field;
  return head + text.slice(end + 2);
}

/** The same, with a body's chunks joined into one: where a client's bytes come in pieces, so do the gateway's chunks. */
export function joined(text: string): string {
  const at = text.indexOf("\r\n\r\n") + 4;
  const head = text.slice(0, at);
  if (!head.includes("\r\ntransfer-encoding: chunked\r\n")) return text;
  let rest = text.slice(at);
  let data = "";
  for (let size = /^([1-9a-f][0-9a-f]*)\r\n/.exec(rest); size !== null; size = /^([1-9a-f][0-9a-f]*)\r\n/.exec(rest)) {
    const start = size[0].length;
    const end = start + Number.parseInt(size[1]!, 16);
    if (rest.slice(end, end + 2) !== "\r\n") break;
    data += rest.slice(start, end);
    rest = rest.slice(end + 2);
  }
  return `${head}[${data}]${rest}`;
}

interface Expected {
  readonly text: string;
  readonly answer: string;
}

interface Incoming {
  readonly socket: Socket;
  /** What came since the last answer. */
  pending: string;
}

export class Recorder {
  readonly #server: Server;
  readonly #open = new Set<Incoming>();
  readonly #expected: Expected[] = [];
  #wake: () => void = () => {};
  /** What had come and was not answered when a connection closed, since `takeLeft`. */
  #left: string[] = [];
  /** What came instead of what was expected; it ends the run. */
  surprise = "";
  /** Requests that came as expected, and all bytes of the record that belong to none of them. */
  requests = 0;
  port = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(): Promise<Recorder> {
    const server = createServer({ noDelay: true });
    const self = new Recorder(server);
    server.on("connection", (socket) => self.#record({ socket, pending: "" }));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    self.port = (server.address() as AddressInfo).port;
    return self;
  }

  /** The next request must be `text`; its answer is a 200 whose body is `answer`. */
  expect(text: string, answer: string): void {
    this.#expected.push({ text, answer });
  }

  /** Waits until no connection is in the middle of anything; gives what broken connections left, and forgets it. */
  async takeLeft(): Promise<string[]> {
    while ([...this.#open].some(({ pending }) => pending !== "")) await this.#more();
    return this.#left.splice(0);
  }

  /** Everything of the record that is not accounted for: must be empty at the end. */
  unaccounted(): string[] {
    const open = [...this.#open].map(({ pending }) => pending);
    return [this.surprise, ...this.#left, ...open, ...this.#expected.map(({ text }) => `missing: ${text}`)].filter(
      (text) => text !== "",
    );
  }

  #record(incoming: Incoming): void {
    this.#open.add(incoming);
    const { socket } = incoming;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      incoming.pending += text;
      this.#compare(incoming);
      this.#wake();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#open.delete(incoming);
      if (incoming.pending !== "") this.#left.push(incoming.pending);
      this.#wake();
    });
  }

  #compare(incoming: Incoming): void {
    const next = this.#expected[0];
    if (next === undefined) return;
    const came = withoutAdded(incoming.pending).replace(
      `\r\nhost: 127.0.0.1:${this.port}\r\n`,
      `\r\nhost: ${ownHost}\r\n`,
    );
    if (came === next.text || joined(came) === joined(next.text)) {
      this.#expected.shift();
      this.requests++;
      incoming.pending = "";
      const body = next.text.startsWith("HEAD ") ? "" : next.answer;
      incoming.socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${next.answer.length}\r\n\r\n${body}`, "latin1");
    } else if (came.length > joined(next.text).length + 64 * 8) {
      this.surprise = came;
      incoming.socket.destroy();
    }
  }

  #more(): Promise<void> {
    return new Promise((resolve) => {
      this.#wake = resolve;
    });
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const { socket } of this.#open) socket.destroy();
    await once(this.#server, "close");
  }
}
