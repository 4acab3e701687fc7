/**
 * The door of the real-time transports: verifies each request (Engine.IO's rules and error answers), opens sessions and
 * hands later requests to them, and lets out once per tick what the hub has queued.
 */
import type { Clock, Exchange, Logger, Target } from "@tideway/base";
import type { Connection, RequestDoor, TransportName } from "@tideway/engine/hub";
import { EngineErrorCode, encodeEngineError, encodeOpen } from "@tideway/wire/engineio";
import { CloseCode, checkHandshake, encodeText } from "@tideway/wire/websocket";
import { addFields, addHookFields, answerOf, askDoor, shown } from "./admission.ts";
import { cookieOf, corsFields, preflightFields, resolveCors } from "./cors.ts";
import { type Counters, makeCounters } from "./counters.ts";
import { ask, once } from "./decisions.ts";
import { PayloadCompressor } from "./deflate.ts";
import { Joiners } from "./encoding.ts";
import { Heartbeats } from "./heartbeat.ts";
import { HeldExchange } from "./hold.ts";
import type { SessionHost } from "./host.ts";
import { type OriginRule, type Settings, settle, type TransportRequest, type TransportsOptions } from "./options.ts";
import { refuse } from "./polling.ts";
import { Refusals } from "./refusals.ts";
import { fieldOf, handshakeOf, queryOf, requestOf, sha1 } from "./request.ts";
import { refuseWith } from "./rooms/answer.ts";
import { RoomsDoor } from "./rooms/door.ts";
import { Session } from "./session.ts";
import { Sessions } from "./sessions.ts";
import { TickEnd } from "./tick.ts";
import { type Incoming, obstacles, verify, verifyContinuation, verifyHandshake } from "./verify.ts";
import { Framings, type Switched, unheard, type WebSocketOwner, WebSocketTransport } from "./websocket.ts";
import { granted } from "./wishes.ts";

export interface Transports extends Target {
  /** Whether a path is that of sessions: with or without the slash at its end. */
  matches(path: string): boolean;
  handle(exchange: Exchange): void;
  /** Ends every session ("server shutting down") and refuses new ones with 503. */
  close(): void;
  /** Sessions that the hub knows. */
  readonly clientsCount: number;
  readonly counters: Readonly<Counters>;
}

export function createTransports(options: TransportsOptions): Transports {
  return new EngineTransports(options);
}

class EngineTransports implements Transports, SessionHost {
  settings: Settings;
  readonly clock: Clock;
  readonly compressor: PayloadCompressor | null;
  readonly counters = makeCounters();
  heartbeats: Heartbeats;
  readonly #joiners: Joiners;
  #framings: Framings;
  readonly #options: TransportsOptions;
  readonly #logger: Logger;
  readonly #sessions: Sessions;
  readonly #rooms: RoomsDoor | null;
  readonly #refusals: Refusals;
  /** What the application wished for last. */
  #wishes = "";
  #stopped = false;
  readonly #held = new Set<() => void>(); // see admission.ts
  readonly #tick: TickEnd;

  constructor(options: TransportsOptions) {
    const { settings, logger } = settle(options);
    this.settings = settings;
    this.compressor = settings.httpCompression === null ? null : new PayloadCompressor(settings.httpCompression);
    this.#joiners = new Joiners(settings.perMessageDeflate);
    this.#framings = new Framings(options.clock, settings.messageBytesMax);
    this.#sessions = new Sessions(settings);
    this.clock = options.clock;
    this.heartbeats = new Heartbeats(options.clock, settings);
    this.#options = options;
    this.#logger = logger;
    this.#rooms = RoomsDoor.of(options, settings, logger, this.counters);
    this.#refusals = new Refusals(options, this.counters, logger);
    this.#tick = new TickEnd(
      options.clock,
      () => {
        this.#joiners.forget();
        this.compressor?.forget();
      },
      (session) => this.#tellEnd(session),
    );
  }

  get clientsCount(): number {
    return this.counters.opened - this.counters.closed;
  }

  matches(path: string): boolean {
    const own = this.settings.path;
    return (
      path.startsWith(own) && (path.length === own.length || (path.length === own.length + 1 && path.endsWith("/")))
    );
  }

  handle(exchange: Exchange): void {
    const wishes = this.#options.door?.wishes ?? "";
    if (wishes !== this.#wishes) this.#adopt(wishes);
    const isRoom = this.#rooms?.matches(exchange.head.path) === true;
    if (!isRoom && (!this.matches(exchange.head.path) || this.#stopped)) {
      return void refuseWith(exchange, this.#stopped ? "HTTP_UNAVAILABLE" : "HTTP_NOT_FOUND");
    }
    const serve = (taken: Exchange, rule: OriginRule) =>
      isRoom ? this.#rooms?.serve(taken, rule) : this.#serve(taken, rule);
    const { cors } = this.settings;
    if (cors === null) {
      serve(exchange, false);
    } else if (typeof cors.origin !== "function") {
      serve(exchange, cors.origin ?? "*");
    } else {
      const held = new HeldExchange(exchange);
      const decide = this.#once<OriginRule>(held, false, (rule) => serve(held, rule));
      ask(this.#logger, decide, false, () => resolveCors(cors, fieldOf(exchange, "origin"), decide));
    }
  }

  close(): void {
    this.#stopped = true;
    for (const giveUp of [...this.#held]) giveUp();
    for (const session of this.#sessions.list()) session.stop();
    this.#rooms?.close();
  }

  /* ---------------------------------------------------------------- SessionHost */

  flushLater(session: Session, answer: boolean): void {
    this.#tick.flush(session, answer);
  }

  ended(session: Session): void {
    this.#tick.ended(session);
  }

  forget(session: Session): void {
    this.#sessions.delete(session);
    const { id, address, transport, moved, reason, meter } = session;
    const { packetsIn, packetsOut, bytesIn, bytesOut } = meter;
    const transports = moved ? "polling, websocket" : transport;
    const forMs = Math.round(this.clock.now() - session.openedAt);
    const life = { sid: id, address, transports, reason, forMs, packetsIn, packetsOut, bytesIn, bytesOut };
    this.#logger.info(life, "connection closed");
  }

  #tellEnd(session: Session): void {
    this.counters.closed++;
    session.connection?.closed(session.reason);
    this.#options.onClosed?.(session.id, session.reason);
  }

  /** The application's options hold from now on, for sessions to come, where the operator has not spoken. */
  #adopt(text: string): void {
    this.#wishes = text;
    const { nodeId, path } = this.settings;
    this.settings = settle({ ...granted(this.#options, text, this.#logger, path), nodeId }).settings;
    this.#framings = new Framings(this.clock, this.settings.messageBytesMax);
    this.heartbeats = new Heartbeats(this.clock, this.settings);
    if (this.#rooms !== null) this.#rooms.settings = this.settings;
  }

  #serve(exchange: Exchange, rule: OriginRule): void {
    const { cors } = this.settings;
    const { head } = exchange;
    const origin = fieldOf(exchange, "origin");
    if (cors !== null && head.method === "OPTIONS") {
      refuse(exchange, 204, preflightFields(cors, rule, origin, fieldOf(exchange, "access-control-request-headers")));
      return;
    }
    const query = queryOf(exchange);
    const incoming: Incoming = {
      exchange,
      query,
      transport: query.get("transport") as TransportName,
      sid: query.get("sid") ?? "",
      upgrade: head.upgrade === "websocket",
      fields: cors === null ? [] : corsFields(cors, rule, origin),
      admission: null,
    };
    const { door } = this.#options;
    // Who has waited does not wait again.
    const isNew = incoming.sid === "" && !(exchange instanceof HeldExchange);
    if (door?.asks === true || (isNew && door?.crowded === true)) this.#ask(door, incoming, rule);
    else this.#verify(incoming, rule);
  }

  /** Shows the request to the application, in another process. */
  #ask(door: RequestDoor, incoming: Incoming, rule: OriginRule): void {
    const opens =
      incoming.sid === "" && verify(incoming, this.settings, true) === null && verifyHandshake(incoming) === null;
    const request = shown(this.#requestOf(incoming), incoming.upgrade, opens);
    askDoor(door, this.clock, incoming, request, this.#held, (asked) => this.#decided(asked, rule));
  }

  #decided(incoming: Incoming, rule: OriginRule): void {
    const { exchange, admission, fields } = incoming;
    if (admission === null || this.#stopped) {
      this.counters.refused++;
      return void refuseWith(exchange, "HTTP_UNAVAILABLE");
    }
    const { outcome, fields: wanted } = admission.verdict;
    if (outcome === "again") return void this.handle(exchange);
    addFields(fields, wanted, outcome === "answer");
    if (outcome === "answer") {
      this.counters.refused++;
      const { status, body } = answerOf(admission.verdict);
      refuse(exchange, status, fields, body);
    } else {
      this.#verify(incoming, admission.verdict.origin || rule);
    }
  }

  #verify(incoming: Incoming, rule: OriginRule): void {
    const refusal = verify(incoming, this.settings, rule);
    if (refusal !== null) this.#refusals.refuse(incoming, refusal);
    else if (incoming.sid === "") this.#handshake(incoming);
    else this.#continue(incoming);
  }

  /** A request of a session that is there. */
  #continue(incoming: Incoming): void {
    const session = this.#sessions.get(incoming.sid);
    const refusal = verifyContinuation(incoming, session?.transport ?? null);
    if (refusal !== null || session === undefined) {
      this.#refusals.refuse(incoming, refusal ?? { code: EngineErrorCode.unknownSid });
    } else if (incoming.upgrade) {
      this.#upgrade(incoming, session);
    } else {
      addHookFields(incoming, this.#options, () => this.#requestOf(incoming), false);
      if (incoming.exchange.head.method === "GET") session.poll(incoming.exchange, incoming.fields);
      else session.post(incoming.exchange, incoming.fields);
    }
  }

  /** A request that opens a session. Asks the application, when it wants to be asked. */
  #handshake(incoming: Incoming): void {
    const refusal = verifyHandshake(incoming);
    if (refusal !== null) {
      this.#refusals.refuse(incoming, refusal);
      return;
    }
    const { allowRequest } = this.#options;
    const request = this.#requestOf(incoming);
    const verdict = incoming.admission?.verdict;
    if (verdict?.outcome === "forbid") {
      const { message } = verdict;
      this.#refusals.refuse(incoming, { code: EngineErrorCode.forbidden, ...(message === "" ? {} : { message }) });
      return;
    }
    if (allowRequest === undefined) {
      this.#name(incoming, request);
      return;
    }
    const held = new HeldExchange(incoming.exchange);
    const asked: Incoming = { ...incoming, exchange: held };
    type Verdict = { allowed: boolean; message?: string | null | undefined };
    const no: Verdict = { allowed: false };
    const decide = this.#once<Verdict>(held, no, ({ allowed, message }) => {
      if (allowed) this.#name(asked, request);
      else this.#refusals.refuse(asked, { code: EngineErrorCode.forbidden, ...(message ? { message } : {}) });
    });
    ask(this.#logger, decide, no, () => allowRequest(request, (message, allowed) => decide({ message, allowed })));
  }

  /** Finds an id for the session to be. */
  #name(incoming: Incoming, request: TransportRequest): void {
    if (incoming.query.get("EIO") !== "4") {
      this.#refusals.refuse(incoming, { code: EngineErrorCode.unsupportedProtocol });
      return;
    }
    const { generateId, random } = this.#options;
    const chosen = incoming.admission?.verdict.session || generateId?.(request);
    const id = chosen ?? `${this.settings.nodeId}.${random.id()}`;
    if (typeof id === "string") {
      this.#open(incoming, request, id);
      return;
    }
    const held = new HeldExchange(incoming.exchange);
    const named: Incoming = { ...incoming, exchange: held };
    const decide = this.#once<string>(held, "", (sid) => this.#open(named, request, sid));
    id.then(decide, (error: unknown) => {
      this.#logger.error({ err: error }, "the application failed to name a session");
      decide("");
    });
  }

  #open(incoming: Incoming, request: TransportRequest, id: string): void {
    // A second session of the same name would take over the first one's requests.
    if (id === "" || this.#sessions.get(id) !== undefined) {
      this.#refusals.refuse(incoming, { code: EngineErrorCode.badRequest, name: "ID_GENERATION_ERROR" });
      return;
    }
    const obstacle = this.#sessions.obstacle(request.address);
    if (obstacle !== null) {
      this.counters.refusedFull++;
      this.#refusals.refuse(incoming, obstacles[obstacle]);
      return;
    }
    const { allowUpgrades, transports, pingIntervalMs, pingTimeoutMs, messageBytesMax, cookie } = this.settings;
    const upgradable = incoming.transport === "polling" && allowUpgrades && transports.includes("websocket");
    const opening = encodeOpen({
      sid: id,
      upgrades: upgradable ? ["websocket"] : [],
      pingInterval: pingIntervalMs,
      pingTimeout: pingTimeoutMs,
      maxPayload: messageBytesMax,
    });
    if (incoming.transport === "polling") {
      const session = this.#session(id, request);
      session.startPolling(opening);
      session.connection = this.#connect(session, incoming, request);
      if (cookie !== null) incoming.fields.push("set-cookie", cookieOf(cookie, id));
      addHookFields(incoming, this.#options, () => request, true);
      session.poll(incoming.exchange, incoming.fields);
      return;
    }
    const switched = this.#switch(incoming, request, encodeText(opening));
    if (switched === null) return;
    const session = this.#session(id, request);
    const socket = this.#webSocket(switched, session);
    session.startWebSocket(socket);
    session.connection = this.#connect(session, incoming, request);
    socket.start(switched.head);
  }

  #connect(session: Session, { admission, exchange }: Incoming, of: TransportRequest): Connection {
    return this.#options.open(session, handshakeOf(of, exchange.head), of.requestId, admission?.question ?? 0);
  }

  #session(id: string, request: TransportRequest): Session {
    const session = new Session(id, request.address, this);
    this.#sessions.add(session);
    this.counters.opened++;
    return session;
  }

  /** A WebSocket for a session that began with polling. */
  #upgrade(incoming: Incoming, session: Session): void {
    const switched = this.#switch(incoming, null, null);
    if (switched === null) return;
    const welcome = session.upgradable && this.settings.allowUpgrades;
    const owner = welcome ? session : unheard;
    const socket = this.#webSocket(switched, owner);
    if (welcome) {
      session.tryUpgrade(socket);
      socket.start(switched.head);
    } else {
      socket.start(new Uint8Array(0));
      socket.close(CloseCode.noStatus);
    }
  }

  #webSocket({ stream, deflateBits }: Switched, owner: WebSocketOwner): WebSocketTransport {
    return new WebSocketTransport(stream, owner, this.#framings.of(this.#joiners.of(deflateBits)));
  }

  /** Answers 101, with the first frame behind it in the same write. Null when the request was refused instead. */
  #switch(incoming: Incoming, initial: TransportRequest | null, frame: Buffer | null): Switched | null {
    const { exchange } = incoming;
    const checked = checkHandshake(exchange.head, sha1, this.settings.perMessageDeflate);
    if (!checked.ok) {
      this.counters.refused++;
      const body = encodeEngineError(EngineErrorCode.badRequest);
      this.#refusals.tell(incoming, { code: EngineErrorCode.badRequest, name: "TRANSPORT_HANDSHAKE_ERROR" });
      refuse(exchange, checked.status, [...checked.fields, "content-type", "application/json"], body);
      return null;
    }
    const answer: Incoming = { ...incoming, fields: checked.fields };
    addFields(answer.fields, incoming.admission?.verdict.fields ?? []);
    addHookFields(answer, this.#options, () => initial ?? this.#requestOf(answer), initial !== null);
    let head = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n";
    for (let i = 0; i < checked.fields.length; i += 2) head += `${checked.fields[i]}: ${checked.fields[i + 1]}\r\n`;
    head += `x-request-id: ${exchange.id}\r\n\r\n`;
    const bytes = Buffer.from(head, "latin1");
    const switched = exchange.upgrade(null);
    switched.stream.write(frame === null ? bytes : Buffer.concat([bytes, frame]));
    return { ...switched, deflateBits: checked.deflateBits };
  }

  #requestOf({ exchange, query, transport, sid }: Incoming): TransportRequest {
    return requestOf(exchange, query, transport, sid === "" ? null : sid, this.clock.wall());
  }

  #once<T>(held: HeldExchange, otherwise: T, then: (value: T) => void): (value: T) => void {
    return once<T>(this.clock, held, otherwise, (value) => {
      if (!this.#stopped) then(value);
    });
  }
}
