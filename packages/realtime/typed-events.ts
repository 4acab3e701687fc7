/**
 * Types of events, as Socket.IO's users know them: maps from an event's name to its listener, and an EventEmitter that
 * holds to them. Owns no behaviour beyond Node's EventEmitter.
 *
 * `any` stands where a user's own types meet ours: an events map without parameters must accept every listener, and
 * only `any` is both sub- and supertype of all.
 */
import { EventEmitter } from "node:events";

// biome-ignore lint/suspicious/noExplicitAny: see the head of this file
export type Any = any;

/** From an event's name to the type of its listener. */
export interface EventsMap {
  [event: string]: Any;
}

/** Every name, any arguments: what holds when the user gives no map. */
export interface DefaultEventsMap {
  [event: string]: (...args: Any[]) => void;
}

type IsAny<T> = 0 extends 1 & T ? true : false;
type IfAny<T, Then, Else> = IsAny<T> extends true ? Then : Else;

export type EventNames<Map extends EventsMap> = keyof Map & (string | symbol);
export type EventParams<Map extends EventsMap, Ev extends EventNames<Map>> = Parameters<Map[Ev]>;

export type Last<T extends readonly unknown[]> = T extends readonly [...unknown[], infer L]
  ? L
  : T extends readonly (infer E)[]
    ? E
    : never;
export type AllButLast<T extends readonly Any[]> = T extends [...infer H, unknown] ? H : Any[];

/** Names of the events whose last argument is an acknowledgement. */
export type EventNamesWithAck<Map extends EventsMap, K extends EventNames<Map> = EventNames<Map>> = IfAny<
  Last<Parameters<Map[K]>> | Map[K],
  K,
  K extends (Last<Parameters<Map[K]>> extends (...args: Any[]) => Any ? K : never) ? K : never
>;
type EventNamesWithoutAck<Map extends EventsMap, K extends EventNames<Map> = EventNames<Map>> = IfAny<
  Last<Parameters<Map[K]>> | Map[K],
  K,
  K extends (Parameters<Map[K]> extends never[] ? K : never)
    ? K
    : K extends (Last<Parameters<Map[K]>> extends (...args: Any[]) => Any ? never : K)
      ? K
      : never
>;
/** The events that may be sent to many at once without waiting for answers. */
export type RemoveAcknowledgements<Map extends EventsMap> = { [K in EventNamesWithoutAck<Map>]: Map[K] };

/** The first argument of an acknowledgement that is not its error. */
export type FirstNonErrorArg<T> = T extends (...args: infer P) => Any ? (P[0] extends Error ? P[1] : P[0]) : Any;

type PrependError<T extends Any[]> = {
  [K in keyof T]: T[K] extends (...args: infer P) => infer R
    ? P[0] extends Error
      ? T[K]
      : (err: Error, ...args: P) => R
    : T[K];
};
type FirstOf<T extends Any[]> = T extends [infer F, ...Any[]] ? [responses: F[]] : T extends [] ? [] : T;
type Multiply<T extends Any[]> = {
  [K in keyof T]: T[K] extends (...args: infer P) => infer R
    ? P extends [Error, ...infer Rest]
      ? (err: Error, ...args: FirstOf<Rest>) => R
      : (...args: FirstOf<P>) => R
    : T[K];
};

/** With `timeout()`, an acknowledgement gets an error first. */
export type DecorateAcknowledgements<E> = {
  [K in keyof E]: E[K] extends (...args: infer P) => infer R ? (...args: PrependError<P>) => R : E[K];
};
/** Sent to many, an acknowledgement gets a list. */
export type DecorateAcknowledgementsWithMultipleResponses<E> = {
  [K in keyof E]: E[K] extends (...args: infer P) => infer R ? (...args: Multiply<P>) => R : E[K];
};

/** {@link DecorateAcknowledgementsWithMultipleResponses}, with an error first whether a time-out is set or not. */
export type DecorateAcknowledgementsWithTimeoutAndMultipleResponses<E> = {
  [K in keyof E]: E[K] extends (...args: infer P) => infer R ? (...args: MultiplyWithError<P>) => R : E[K];
};
type MultiplyWithError<T extends Any[]> = {
  [K in keyof T]: T[K] extends (...args: infer P) => infer R
    ? P extends [Error, ...infer Rest]
      ? (err: Error, ...args: FirstOf<Rest>) => R
      : (err: Error, ...args: FirstOf<P>) => R
    : T[K];
};

export type ReservedOrUserEventNames<Reserved extends EventsMap, User extends EventsMap> =
  | EventNames<Reserved>
  | EventNames<User>;
type OrUntyped<T> = [T] extends [never] ? (...args: Any[]) => void | Promise<void> : T;
export type ReservedOrUserListener<
  Reserved extends EventsMap,
  User extends EventsMap,
  Ev extends ReservedOrUserEventNames<Reserved, User>,
> = OrUntyped<Ev extends EventNames<Reserved> ? Reserved[Ev] : Ev extends EventNames<User> ? User[Ev] : never>;

type Listener = (...args: Any[]) => void;

/** Node's EventEmitter, held to three maps: what may be listened to, what may be emitted, and our own events. */
export abstract class StrictEventEmitter<
  Listen extends EventsMap,
  Emit extends EventsMap,
  Reserved extends EventsMap = Record<never, never>,
> extends EventEmitter {
  override on<Ev extends ReservedOrUserEventNames<Reserved, Listen>>(
    ev: Ev,
    listener: ReservedOrUserListener<Reserved, Listen, Ev>,
  ): this {
    return super.on(ev, listener as Listener);
  }

  override once<Ev extends ReservedOrUserEventNames<Reserved, Listen>>(
    ev: Ev,
    listener: ReservedOrUserListener<Reserved, Listen, Ev>,
  ): this {
    return super.once(ev, listener as Listener);
  }

  override emit<Ev extends EventNames<Emit>>(ev: Ev, ...args: EventParams<Emit, Ev>): boolean {
    return super.emit(ev, ...args);
  }

  override listeners<Ev extends ReservedOrUserEventNames<Reserved, Listen>>(
    ev: Ev,
  ): ReservedOrUserListener<Reserved, Listen, Ev>[] {
    return super.listeners(ev) as ReservedOrUserListener<Reserved, Listen, Ev>[];
  }
}
