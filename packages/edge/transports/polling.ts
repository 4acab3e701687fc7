/**
 * HTTP long-polling: one GET that waits for packets, one POST that brings some. Knows payloads and status codes; what
 * packets mean is the owner's affair.
 */
import { isUtf8 } from "node:buffer";
import type { Exchange, ExchangeHandler, FieldList } from "@tideway/base";
import type { DisconnectReason } from "@tideway/engine/hub";
import { decodePayloadPacket, type EnginePacket, PacketType } from "@tideway/wire/engineio";
import { BodyBuffer } from "./body.ts";
import { codingOf, type HttpCoding, type PayloadCompressor } from "./deflate.ts";
import { fieldOf } from "./request.ts";

/** Who stands behind a polling transport. */
export interface PollingOwner {
  /** One packet; false when it broke the rules, and the session with it. */
  onPacket(packet: EnginePacket): boolean;
  /** A poll waits: answer it when there is something to say. */
  onPoll(): void;
  /** The client broke the rules of polling, or went away within a request. */
  onPollingFault(reason: DisconnectReason): void;
  onBytes(count: number): void;
  /** The client sent more than it is read at: its POST is answered when `resume` is called. */
  readonly paused: boolean;
}

export class PollingTransport {
  readonly #owner: PollingOwner;
  readonly #bodyBytesMax: number;
  readonly #compressor: PayloadCompressor | null;
  #poll: PollRequest | null = null;
  #post: PostRequest | null = null;
  /** Read and not answered yet. */
  #paused: PostRequest | null = null;

  constructor(owner: PollingOwner, bodyBytesMax: number, compressor: PayloadCompressor | null) {
    this.#owner = owner;
    this.#bodyBytesMax = bodyBytesMax;
    this.#compressor = compressor;
  }

  /** True while a GET waits for its answer. */
  get waiting(): boolean {
    return this.#poll !== null;
  }

  /** A GET. `fields` are those that its answer carries beside its own. */
  poll(exchange: Exchange, fields: FieldList): void {
    if (this.#poll !== null) {
      refuse(exchange, 400, fields);
      this.#owner.onPollingFault("transport error");
      return;
    }
    this.#poll = new PollRequest(exchange, fields, () => {
      this.#poll = null;
      this.#owner.onPollingFault("transport error");
    });
    this.#owner.onPoll();
  }

  /** Answers the GET that waits; returns the bytes of its body. */
  answer(text: string): number {
    const poll = this.#poll;
    this.#poll = null;
    return poll?.answer(text, this.#compressor) ?? 0;
  }

  /** Answers the POST that was held back because its client sends too fast. */
  resume(): void {
    const post = this.#paused;
    this.#paused = null;
    post?.finish(200);
  }

  /** A POST. */
  post(exchange: Exchange, fields: FieldList): void {
    // Engine.IO 4 has no binary bodies; the reference once let such a request hold the socket.
    const wrong =
      this.#post !== null ||
      this.#paused !== null ||
      fieldOf(exchange, "content-type")?.startsWith("application/octet-stream") === true;
    if (wrong) {
      refuse(exchange, 400, fields);
      this.#owner.onPollingFault("transport error");
      return;
    }
    if (exchange.head.bodyLength > this.#bodyBytesMax) {
      this.#tooLarge(exchange, fields);
      return;
    }
    const post = new PostRequest(exchange, fields, this.#bodyBytesMax, this);
    this.#post = post;
    exchange.accept(post);
  }

  /** The session is over: a body that is still coming is answered with 400. */
  abandon(): void {
    const post = this.#post;
    this.#post = null;
    post?.finish(400);
    this.resume();
  }

  onPostWhole(post: PostRequest, body: Buffer): void {
    this.#post = null;
    this.#owner.onBytes(body.length);
    if (!isUtf8(body)) {
      post.finish(400);
      this.#owner.onPollingFault("parse error");
      return;
    }
    const text = body.toString("utf8");
    for (let at = 0; at >= 0; ) {
      const { decoded, next } = decodePayloadPacket(text, at);
      if (!decoded.ok) {
        post.finish(400);
        this.#owner.onPollingFault("parse error");
        return;
      }
      if (!this.#owner.onPacket(decoded.packet)) {
        post.finish(400);
        return;
      }
      if (decoded.packet.type === PacketType.close) break;
      at = next;
    }
    if (this.#owner.paused) this.#paused = post;
    else post.finish(200);
  }

  onPostTooLarge(post: PostRequest): void {
    this.#post = null;
    post.finish(413);
    this.#owner.onPollingFault("transport error");
  }

  onPostGone(): void {
    this.#post = null;
    this.#paused = null;
    this.#owner.onPollingFault("transport error");
  }

  #tooLarge(exchange: Exchange, fields: FieldList): void {
    refuse(exchange, 413, fields);
    // The reference keeps the session, but the stock client is done with it: it would be a ghost until its ping timeout.
    this.#owner.onPollingFault("transport error");
  }
}

class PollRequest implements ExchangeHandler {
  readonly #exchange: Exchange;
  readonly #fields: FieldList;
  #gone: (() => void) | null;

  constructor(exchange: Exchange, fields: FieldList, gone: () => void) {
    this.#exchange = exchange;
    this.#fields = fields;
    this.#gone = gone;
    exchange.accept(this);
  }

  answer(text: string, compressor: PayloadCompressor | null): number {
    this.#gone = null;
    let body: Buffer = Buffer.from(text, "utf8");
    const fields = ["content-type", "text/plain; charset=UTF-8", "cache-control", "no-store", ...this.#fields];
    const coding = compressor?.isWorth(body) === true ? codingOf(fieldOf(this.#exchange, "accept-encoding")) : null;
    const compressed = coding === null ? null : compressor!.compress(text, body, coding);
    if (compressed !== null) {
      fields.push("content-encoding", coding as HttpCoding);
      body = compressed;
    }
    this.#exchange.respond(200, fields, body.length);
    this.#exchange.write(body);
    this.#exchange.end();
    return body.length;
  }

  onBody(): void {}
  onBodyEnd(): void {}
  onDrain(): void {}

  onClose(): void {
    const gone = this.#gone;
    this.#gone = null;
    gone?.();
  }
}

class PostRequest implements ExchangeHandler {
  readonly #exchange: Exchange;
  readonly #fields: FieldList;
  readonly #body: BodyBuffer;
  #transport: PollingTransport | null;

  constructor(exchange: Exchange, fields: FieldList, bodyBytesMax: number, transport: PollingTransport) {
    this.#exchange = exchange;
    this.#fields = fields;
    this.#body = new BodyBuffer(bodyBytesMax);
    this.#transport = transport;
  }

  finish(status: 200 | 400 | 413): void {
    this.#transport = null;
    // text/html, so that old browsers do not offer the answer for download (the reference does the same).
    if (status === 200) send(this.#exchange, 200, ["content-type", "text/html", ...this.#fields], "ok");
    else send(this.#exchange, status, this.#fields, "");
  }

  onBody(chunk: Uint8Array): void {
    if (this.#transport !== null && !this.#body.append(chunk)) this.#transport.onPostTooLarge(this);
  }

  onBodyEnd(): void {
    this.#transport?.onPostWhole(this, this.#body.take());
  }

  onDrain(): void {}

  onClose(): void {
    const transport = this.#transport;
    this.#transport = null;
    transport?.onPostGone();
  }
}

/** For a request whose body and end are of no interest. */
const unheard: ExchangeHandler = { onBody() {}, onBodyEnd() {}, onDrain() {}, onClose() {} };

/** Takes a request and answers it at once. */
export function refuse(exchange: Exchange, status: number, fields: FieldList, body: string | Uint8Array = ""): void {
  exchange.accept(unheard);
  send(exchange, status, fields, body);
}

function send(exchange: Exchange, status: number, fields: FieldList, given: string | Uint8Array): void {
  const body = typeof given === "string" ? Buffer.from(given, "utf8") : given;
  exchange.respond(status, ["cache-control", "no-store", ...fields], body.length);
  if (body.length > 0) exchange.write(body);
  exchange.end();
}
