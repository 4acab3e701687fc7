/**
 * For this room's tests: an exchange without a listener. It records what the target does and lets the test be the client.
 * Never imported by running code.
 */
import type { ByteStream, ClientInfo, Exchange, ExchangeHandler, FieldList, RequestHead } from "@tideway/base";

export class FakeExchange implements Exchange {
  readonly id = "req-1";
  readonly head: RequestHead;
  client: ClientInfo = { address: "192.0.2.7", port: 4000, localPort: 80, secure: false };
  service = "";
  instance = "";
  trace = "";
  handler: ExchangeHandler | null = null;
  status = 0;
  fields: FieldList = [];
  bodyLength = 0;
  chunks: Uint8Array[] = [];
  trailers: FieldList = [];
  interims: number[] = [];
  paused = false;
  /** What `write` answers. */
  ready = true;
  onWrite: (chunk: Uint8Array) => void = () => {};
  onResume: () => void = () => {};
  upgraded: { stream: ByteStream; head: Uint8Array } | null = null;
  /** "end", "abort" or "upgrade". */
  readonly over: Promise<string>;
  #resolve: (how: string) => void = () => {};

  constructor(head: Partial<RequestHead> = {}) {
    const defaults = {
      method: "GET",
      path: "/",
      query: "",
      host: "a.test",
      authority: "a.test",
      version: 11,
      fields: [],
      bodyLength: 0,
      upgrade: "",
    };
    this.head = { ...defaults, ...head };
    this.over = new Promise((resolve) => {
      this.#resolve = resolve;
    });
  }

  get body(): string {
    return Buffer.concat(this.chunks).toString("latin1");
  }

  field(name: string): string | undefined {
    const at = this.fields.indexOf(name);
    return at < 0 ? undefined : this.fields[at + 1];
  }

  accept(handler: ExchangeHandler): void {
    this.handler = handler;
    if (this.head.bodyLength === 0) handler.onBodyEnd([]);
  }

  /** The client sends a whole body, in these pieces. */
  send(...pieces: (string | Uint8Array)[]): void {
    for (const piece of pieces) this.handler?.onBody(Buffer.from(piece as string));
    this.handler?.onBodyEnd([]);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.onResume();
  }

  inform(status: number): void {
    this.interims.push(status);
  }

  respond(status: number, fields: FieldList, bodyLength: number): void {
    this.status = status;
    this.fields = fields;
    this.bodyLength = bodyLength;
  }

  write(chunk: Uint8Array): boolean {
    this.chunks.push(chunk);
    this.onWrite(chunk);
    return this.ready;
  }

  end(trailers: FieldList = []): void {
    this.trailers = trailers;
    this.#resolve("end");
  }

  abort(): void {
    this.#resolve("abort");
  }

  upgrade(fields: FieldList | null): { stream: ByteStream; head: Uint8Array } {
    this.status = 101;
    this.fields = fields ?? [];
    this.#resolve("upgrade");
    if (this.upgraded === null) throw new Error("this test expects no upgrade");
    return this.upgraded;
  }
}
