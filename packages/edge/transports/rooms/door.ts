/**
 * The door of rooms over plain HTTP, below the real-time path: `{path}/rooms/{room}/events`. Owns the checks that hold for every
 * room alike, in an order in which nothing depends on the room before its client was asked about: so that a room that is not
 * there, one that is not opened and one that is not for this client are the same 404. What a client reads or publishes there
 * is `reader.ts`'s and `publish.ts`'s.
 */
import type { AnswerErrorCode, Clock, Exchange, FieldList, Logger, Random } from "@tideway/base";
import { type RoomQuestion, type RoomsPort, RoomVerdict, type Verdict } from "@tideway/engine/hub";
import { addFields, answerOf, askDoor, shown } from "../admission.ts";
import { corsFields, implicitCors, isOriginAllowed, preflightFields } from "../cors.ts";
import type { Counters } from "../counters.ts";
import { ask, once } from "../decisions.ts";
import { HeldExchange } from "../hold.ts";
import type { OriginRule, Settings, TransportRequest, TransportsOptions } from "../options.ts";
import { fieldOf, handshakeOf, queryOf, requestOf } from "../request.ts";
import { answer, refuseWith, unheard } from "./answer.ts";
import { RoomBounds } from "./bounds.ts";
import { RoomEncoder } from "./encoding.ts";
import { Poll } from "./poll.ts";
import { Publishing } from "./publish.ts";
import type { RoomReader, RoomRequest, RoomsHost } from "./reader.ts";
import { isJson, readKey, readNamespace, readRead, readRoom, roomInPath, Wanted } from "./requests.ts";
import { Stream } from "./stream.ts";

const methods = "GET, HEAD, POST, OPTIONS";

/** A request that the application may want to see. */
interface Arrival {
  readonly exchange: Exchange;
  readonly fields: FieldList;
  readonly rule: OriginRule;
  /** Whether its page may ask at all, as far as that is known here. */
  readonly allowed: boolean;
  readonly request: TransportRequest;
}

export class RoomsDoor implements RoomsHost {
  readonly port: RoomsPort;
  /** Those of the transports: an application may change what holds for it. */
  settings: Settings;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly counters: Counters;
  readonly encoder = new RoomEncoder();
  readonly #options: TransportsOptions;
  readonly #bounds: RoomBounds;
  readonly #readers = new Set<RoomReader>();
  #dirty = new Set<RoomReader>();
  /** What gives up each request that waits for the application's word. */
  readonly #held = new Set<() => void>();
  #stopped = false;
  readonly #endTick = () => this.#flushAll();

  /** Null where the hub offers none. */
  static of(options: TransportsOptions, settings: Settings, logger: Logger, counters: Counters): RoomsDoor | null {
    const { rooms } = options;
    return rooms === undefined ? null : new RoomsDoor(rooms, options, settings, logger, counters);
  }

  private constructor(
    port: RoomsPort,
    options: TransportsOptions,
    settings: Settings,
    logger: Logger,
    counters: Counters,
  ) {
    this.port = port;
    this.settings = settings;
    this.clock = options.clock;
    this.random = options.random;
    this.logger = logger;
    this.counters = counters;
    this.#options = options;
    this.#bounds = new RoomBounds(settings);
  }

  matches(path: string): boolean {
    return roomInPath(path, this.settings.path) !== null;
  }

  /** The fields of CORS for an answer to this request, and whether its page may ask at all. */
  #crossOrigin(exchange: Exchange, rule: OriginRule): { fields: FieldList; allowed: boolean } {
    const origin = fieldOf(exchange, "origin");
    const { cors } = this.settings;
    const fields = cors === null ? corsFields(...implicitCors(this.settings), origin) : corsFields(cors, rule, origin);
    return { fields, allowed: isOriginAllowed(this.settings, rule, origin, exchange.head.authority) };
  }

  /** `rule` is that of CORS for this request. */
  serve(exchange: Exchange, rule: OriginRule): void {
    const { head } = exchange;
    const { fields, allowed } = this.#crossOrigin(exchange, rule);
    if (head.method === "OPTIONS") {
      this.#preflight(exchange, rule);
    } else if (head.method !== "GET" && head.method !== "HEAD" && head.method !== "POST") {
      this.#refuse(exchange, "HTTP_METHOD", ["allow", methods, ...fields]);
    } else if (!allowed && this.#options.door?.asks !== true) {
      const seen = { address: exchange.client.address, origin: fieldOf(exchange, "origin"), authority: head.authority };
      this.logger.info(seen, "room request refused: an origin that neither `origins` nor `cors` allows");
      this.#refuse(exchange, "HTTP_FORBIDDEN", fields);
    } else {
      const request = requestOf(exchange, queryOf(exchange), "polling", null, this.clock.wall());
      this.#admit({ exchange, fields, rule, allowed, request }, (asked, word) => {
        if (word === "no") this.#refuse(asked, "HTTP_FORBIDDEN", fields);
        else if (head.method === "POST") this.#publish(asked, fields, request, word);
        else this.#read(asked, fields, request, word);
      });
    }
  }

  /** The application is asked about it as about a handshake: here, or where it runs. */
  #admit(
    { exchange, fields, rule, allowed, request }: Arrival,
    then: (exchange: Exchange, word: RoomVerdict) => void,
  ): void {
    const { allowRequest, door } = this.#options;
    if (door?.asks === true) {
      const query = new Map<string, string>();
      const incoming = {
        exchange,
        query,
        transport: "polling",
        sid: "",
        upgrade: false,
        fields,
        admission: null,
      } as const;
      askDoor(door, this.clock, incoming, shown(request, false, true), this.#held, ({ exchange: held, admission }) => {
        if (admission === null) then(held, RoomVerdict.later);
        else if (admission.verdict.outcome === "again") this.serve(held, rule);
        else this.#judged(held, fields, admission.verdict, allowed || admission.verdict.origin, then);
      });
    } else if (allowRequest === undefined) {
      then(exchange, RoomVerdict.yes);
    } else {
      const held = new HeldExchange(exchange);
      const decide = once<boolean>(this.clock, held, false, (allowed) => then(held, allowed ? "yes" : "no"));
      ask(this.logger, decide, false, () => allowRequest(request, (_message, allowed) => decide(allowed)));
    }
  }

  #judged(
    exchange: Exchange,
    fields: FieldList,
    verdict: Verdict,
    allowed: boolean,
    then: (exchange: Exchange, word: RoomVerdict) => void,
  ): void {
    const { outcome } = verdict;
    addFields(fields, verdict.fields, outcome === "answer");
    if (outcome !== "answer") {
      then(exchange, outcome === "forbid" || !allowed ? RoomVerdict.no : RoomVerdict.yes);
      return;
    }
    this.counters.refused++;
    const { status, body } = answerOf(verdict);
    exchange.accept(unheard);
    answer(exchange, status, ["cache-control", "no-store", ...fields], body);
  }

  /** Every reader's answer is brought to its end; new ones are told to come again. */
  close(): void {
    this.#stopped = true;
    for (const giveUp of [...this.#held]) giveUp();
    for (const reader of [...this.#readers]) reader.stop();
  }

  /* ---------------------------------------------------------------- RoomsHost */

  flushLater(reader: RoomReader): void {
    if (this.#dirty.size === 0) this.clock.defer(this.#endTick);
    this.#dirty.add(reader);
  }

  left(reader: RoomReader): void {
    if (this.#readers.delete(reader)) this.#bounds.leave(reader.address);
  }

  #flushAll(): void {
    const dirty = this.#dirty;
    this.#dirty = new Set();
    for (const reader of dirty) reader.flush();
    this.encoder.forget();
  }

  /* ---------------------------------------------------------------- a request */

  #preflight(exchange: Exchange, rule: OriginRule): void {
    const { cors } = this.settings;
    const origin = fieldOf(exchange, "origin");
    const asked = fieldOf(exchange, "access-control-request-headers");
    const fields =
      cors === null
        ? preflightFields(...implicitCors(this.settings), origin, asked)
        : preflightFields(cors, rule, origin, asked);
    exchange.accept(unheard);
    answer(exchange, 204, ["allow", methods, "cache-control", "no-store", ...fields], "");
  }

  #read(exchange: Exchange, fields: FieldList, from: TransportRequest, word: RoomVerdict): void {
    const query = queryOf(exchange);
    const request = this.#roomOf(exchange, query, fields, from, "read");
    if (request === null) return;
    const read = readRead(exchange, query, this.settings.pollEventsMax);
    if (!read.ok) {
      this.#refuse(exchange, "HTTP_INVALID", fields, read.fault);
      return;
    }
    const { wanted } = read.value;
    this.counters.roomRequests[wanted]++;
    const Reader = wanted === Wanted.stream ? Stream : Poll;
    const reader = new Reader(this, request, read.value);
    const later = this.#stopped || word === RoomVerdict.later;
    const obstacle = later ? null : this.#bounds.enter(reader.address);
    if (obstacle !== null) {
      this.counters.refusedFull++;
      this.#refuse(exchange, obstacle === "full" ? "HTTP_BUSY" : "HTTP_TOO_MANY", ["retry-after", "5", ...fields]);
      return;
    }
    if (later) {
      exchange.accept(unheard);
      reader.stop();
      return;
    }
    this.#readers.add(reader);
    reader.start();
  }

  #publish(exchange: Exchange, fields: FieldList, from: TransportRequest, word: RoomVerdict): void {
    const query = queryOf(exchange);
    const request = this.#roomOf(exchange, query, fields, from, "publish");
    if (request === null) return;
    this.counters.roomRequests.publish++;
    const { messageBytesMax } = this.settings;
    const { bodyLength } = exchange.head;
    const key = readKey(exchange);
    const tooOften = this.#bounds.tooOften(exchange.client.address, this.clock.now());
    const bytes = bodyLength < 0 ? messageBytesMax : bodyLength;
    const later = this.#stopped || word === RoomVerdict.later;
    if (later) this.#refuse(exchange, "HTTP_UNAVAILABLE", fields);
    else if (!isJson(fieldOf(exchange, "content-type"))) this.#refuse(exchange, "HTTP_MEDIA_TYPE", fields);
    else if (!key.ok) this.#refuse(exchange, "HTTP_INVALID", fields, key.fault);
    else if (bytes > messageBytesMax) this.#refuse(exchange, "HTTP_TOO_LARGE", fields);
    else if (tooOften !== null) this.#refuse(exchange, "HTTP_TOO_MANY", [...tooOften, ...fields]);
    else if (!this.#bounds.enterBody(bytes)) this.#refuse(exchange, "HTTP_BUSY", fields);
    else new Publishing(this, request, key.value, () => this.#bounds.leaveBody(bytes)).start();
  }

  /** Null when the request names no room that could be: it has been answered. */
  #roomOf(
    exchange: Exchange,
    query: ReadonlyMap<string, string>,
    fields: FieldList,
    from: TransportRequest,
    action: RoomQuestion["action"],
  ): RoomRequest | null {
    const room = readRoom(roomInPath(exchange.head.path, this.settings.path) ?? "");
    const namespace = readNamespace(query);
    const fault = room.ok ? (namespace.ok ? null : namespace.fault) : room.fault;
    if (!room.ok || !namespace.ok) {
      this.#refuse(exchange, "HTTP_INVALID", fields, fault ?? "");
      return null;
    }
    const handshake = handshakeOf(from, exchange.head);
    const question = { namespace: namespace.value, room: room.value, action, event: "", handshake };
    return { exchange, fields, question };
  }

  #refuse(exchange: Exchange, code: AnswerErrorCode, fields: FieldList, detail = ""): void {
    this.counters.refused++;
    refuseWith(exchange, code, fields, detail);
  }
}
