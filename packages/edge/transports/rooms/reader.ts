/**
 * One client that reads a room: from its request to its reading. What polls and streams have in common: a place among the
 * readers, the question whether it may, and an end that comes once.
 */
import type { AnswerErrorCode, Clock, Exchange, ExchangeHandler, FieldList, Logger, Random } from "@tideway/base";
import type { RoomEvent, RoomFollower, RoomQuestion, RoomReading, RoomsPort } from "@tideway/engine/hub";
import type { Counters } from "../counters.ts";
import type { Settings } from "../options.ts";
import { answerError } from "./answer.ts";
import type { RoomEncoder } from "./encoding.ts";
import type { ReadRequest } from "./requests.ts";

/** What stands around the readers. */
export interface RoomsHost {
  readonly port: RoomsPort;
  readonly settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly encoder: RoomEncoder;
  /** Calls `flush` at the end of this tick. */
  flushLater(reader: RoomReader): void;
  /** Gives its place free. */
  left(reader: RoomReader): void;
}

/** A request that may be answered, as far as everything but the room is concerned. */
export interface RoomRequest {
  readonly exchange: Exchange;
  /** Of CORS, for whatever answer. */
  readonly fields: FieldList;
  readonly question: RoomQuestion;
}

export abstract class RoomReader implements ExchangeHandler, RoomFollower {
  readonly address: string;
  protected readonly host: RoomsHost;
  protected readonly request: RoomRequest;
  protected readonly read: ReadRequest;
  protected reading: RoomReading | null = null;
  protected over = false;
  #cancel: (() => void) | null = null;

  constructor(host: RoomsHost, request: RoomRequest, read: ReadRequest) {
    this.host = host;
    this.request = request;
    this.read = read;
    this.address = request.exchange.client.address;
  }

  start(): void {
    const { exchange, question } = this.request;
    exchange.accept(this);
    if (this.over) return;
    this.#cancel = this.host.port.permit(question, (verdict) => {
      this.#cancel = null;
      if (this.over) return;
      if (verdict === "yes") this.#begin();
      else if (verdict === "later") this.refuseForNow();
      else this.refuse("HTTP_NOT_FOUND");
    });
  }

  #begin(): void {
    const { namespace, room } = this.request.question;
    this.host.port.begin(namespace, room, this.read.after, (reading) => {
      if (this.over) reading?.close();
      else if (reading === null) this.refuseForNow();
      else {
        this.reading = reading;
        this.begun(reading);
      }
    });
  }

  protected refuse(code: AnswerErrorCode): void {
    this.leave();
    answerError(this.request.exchange, code, this.request.fields);
  }

  /** Ends it; its answer is the caller's. */
  protected leave(): void {
    if (this.over) return;
    this.over = true;
    this.#cancel?.();
    this.reading?.close();
    this.host.left(this);
  }

  /** It may read. */
  protected abstract begun(reading: RoomReading): void;
  /** Nobody can say whether it may, or nothing can be read now. */
  protected abstract refuseForNow(): void;
  abstract flush(): void;
  /** The server stops. */
  abstract stop(): void;
  abstract onEvent(event: RoomEvent): void;
  abstract onRecall(): void;
  abstract onDrain(): void;
  abstract onClose(): void;

  onBody(): void {}
  onBodyEnd(): void {}
}
