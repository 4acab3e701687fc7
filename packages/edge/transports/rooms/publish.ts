/** A publish into a room: its body is read whole, then its client is asked about, then the event is emitted; 201 after the commit. */
import type { AnswerErrorCode, ExchangeHandler } from "@tideway/base";
import type { PublishFault } from "@tideway/engine/hub";
import { BodyBuffer } from "../body.ts";
import { answer, answerError, jsonFields } from "./answer.ts";
import type { RoomRequest, RoomsHost } from "./reader.ts";
import { readPublish } from "./requests.ts";

const faultCodes: Readonly<Record<PublishFault, AnswerErrorCode>> = {
  STORE_FULL: "HTTP_STORAGE",
  STORE_FAILED: "HTTP_UNAVAILABLE",
  TOO_LARGE: "HTTP_TOO_LARGE",
};

export class Publishing implements ExchangeHandler {
  readonly #host: RoomsHost;
  readonly #request: RoomRequest;
  readonly #key: string | null;
  readonly #done: () => void;
  #body: BodyBuffer | null;
  #over = false;
  #cancel: (() => void) | null = null;

  /** `done` is called once, when its body has come, or will not. */
  constructor(host: RoomsHost, request: RoomRequest, key: string | null, done: () => void) {
    this.#host = host;
    this.#request = request;
    this.#key = key;
    this.#done = done;
    this.#body = new BodyBuffer(host.settings.messageBytesMax);
  }

  start(): void {
    this.#request.exchange.accept(this);
  }

  onBody(chunk: Uint8Array): void {
    if (this.#body === null || this.#body.append(chunk)) return;
    this.#settleBody();
    this.#refuse("HTTP_TOO_LARGE");
  }

  onBodyEnd(): void {
    if (this.#body === null) return;
    const bytes = this.#body.take();
    this.#settleBody();
    this.#host.counters.bytesIn += bytes.length;
    const read = readPublish(bytes);
    if (!read.ok) {
      this.#refuse("HTTP_INVALID", read.fault);
      return;
    }
    const { event, payload } = read.value;
    const { question } = this.#request;
    this.#cancel = this.#host.port.permit({ ...question, event }, (verdict) => {
      this.#cancel = null;
      if (verdict === "no") this.#refuse("HTTP_NOT_FOUND");
      else if (verdict === "later") this.#refuse("HTTP_UNAVAILABLE");
      else this.#publish(payload);
    });
  }

  #publish(payload: Parameters<RoomsHost["port"]["publish"]>[2]): void {
    const { namespace, room } = this.#request.question;
    // Clients' keys are their own: none can take one of the application's, or of another room.
    const key = this.#key === null ? null : `http:${encodeURIComponent(room.toWellFormed())}:${this.#key}`;
    this.#host.port.publish(namespace, room, payload, key, (published) => {
      if (!published.ok) {
        this.#refuse(faultCodes[published.code]);
        return;
      }
      const { offset, seq } = published;
      this.#answer(() => {
        const body = `${JSON.stringify({ offset, seq })}\n`;
        this.#host.counters.bytesOut += answer(
          this.#request.exchange,
          201,
          [...jsonFields, ...this.#request.fields],
          body,
        );
      });
    });
  }

  #refuse(code: AnswerErrorCode, detail = ""): void {
    this.#answer(() => answerError(this.#request.exchange, code, this.#request.fields, detail));
  }

  #answer(answering: () => void): void {
    if (this.#over) return;
    this.#over = true;
    answering();
  }

  #settleBody(): void {
    this.#body = null;
    this.#done();
  }

  onDrain(): void {}

  /** What is being committed is committed; its client asks again with its key. */
  onClose(): void {
    this.#over = true;
    this.#cancel?.();
    if (this.#body !== null) this.#settleBody();
  }
}
