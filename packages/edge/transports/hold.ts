/**
 * An exchange that waits for somebody's decision. A target must take an exchange in the tick in which it gets it; this one
 * is taken at once, its body is held back, and it can be given to its real handler later.
 */
import type {
  ByteStream,
  ClientInfo,
  Exchange,
  ExchangeEnd,
  ExchangeHandler,
  FieldList,
  RequestHead,
} from "@tideway/base";

export class HeldExchange implements Exchange, ExchangeHandler {
  readonly #exchange: Exchange;
  #handler: ExchangeHandler | null = null;
  readonly #early: Uint8Array[] = [];
  #trailers: FieldList | null = null;
  #closed: ExchangeEnd | null = null;

  constructor(exchange: Exchange) {
    this.#exchange = exchange;
    exchange.accept(this);
    // At most what had already been read arrives before the decision.
    exchange.pause();
  }

  /** True when the client has gone meanwhile: there is nothing left to decide. */
  get gone(): boolean {
    return this.#closed !== null;
  }

  accept(handler: ExchangeHandler): void {
    this.#handler = handler;
    for (const chunk of this.#early.splice(0)) handler.onBody(chunk);
    if (this.#trailers !== null) handler.onBodyEnd(this.#trailers);
    else if (this.#closed !== null) handler.onClose(this.#closed);
    this.#exchange.resume();
  }

  onBody(chunk: Uint8Array): void {
    if (this.#handler === null) this.#early.push(chunk);
    else this.#handler.onBody(chunk);
  }

  onBodyEnd(trailers: FieldList): void {
    if (this.#handler === null) this.#trailers = trailers;
    else this.#handler.onBodyEnd(trailers);
  }

  onDrain(): void {
    this.#handler?.onDrain();
  }

  onClose(why: ExchangeEnd): void {
    this.#closed = why;
    this.#handler?.onClose(why);
  }

  get id(): string {
    return this.#exchange.id;
  }
  get head(): RequestHead {
    return this.#exchange.head;
  }
  get client(): ClientInfo {
    return this.#exchange.client;
  }
  get service(): string {
    return this.#exchange.service;
  }
  set service(name: string) {
    this.#exchange.service = name;
  }
  get instance(): string {
    return this.#exchange.instance;
  }
  set instance(name: string) {
    this.#exchange.instance = name;
  }
  pause(): void {
    this.#exchange.pause();
  }
  resume(): void {
    this.#exchange.resume();
  }
  inform(status: number, fields: FieldList): void {
    this.#exchange.inform(status, fields);
  }
  respond(status: number, fields: FieldList, bodyLength: number): void {
    this.#exchange.respond(status, fields, bodyLength);
  }
  write(chunk: Uint8Array): boolean {
    return this.#exchange.write(chunk);
  }
  end(trailers?: FieldList): void {
    this.#exchange.end(trailers);
  }
  abort(): void {
    this.#exchange.abort();
  }
  upgrade(fields: FieldList | null): { stream: ByteStream; head: Uint8Array } {
    return this.#exchange.upgrade(fields);
  }
}
