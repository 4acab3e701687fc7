/**
 * Which namespaces a server has: those that were named, and those that patterns and functions make when a client asks.
 */
import { Namespace } from "./namespace.ts";
import { type NamespaceMatcher, ParentNamespace } from "./parent-namespace.ts";
import type { Server } from "./server.ts";
import type { ConnectMessage, HubSession } from "./session.ts";
import type { EventsMap } from "./typed-events.ts";
import { callListeners, callUser } from "./user-code.ts";

export class NamespaceDirectory<
  ListenEvents extends EventsMap,
  EmitEvents extends EventsMap,
  ServerSideEvents extends EventsMap,
  SocketData,
> {
  /** `/` */
  readonly main: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  readonly #server: Server<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  readonly #session: HubSession;
  readonly #removesEmpty: boolean;
  readonly #byName = new Map<string, Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>>();
  readonly #parents: {
    readonly matches: NamespaceMatcher;
    readonly pattern: RegExp | null;
    readonly namespace: ParentNamespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>;
  }[] = [];

  constructor(
    server: Server<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
    session: HubSession,
    removesEmpty: boolean,
  ) {
    this.#server = server;
    this.#session = session;
    this.#removesEmpty = removesEmpty;
    this.main = new Namespace(server, session, "/");
    this.#byName.set("/", this.main);
  }

  /** The namespace of that name, made when there is none. */
  named(given: string): Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    const name = given.startsWith("/") ? given : `/${given}`;
    const known = this.#byName.get(name);
    if (known !== undefined) return known;
    const parent = this.#parents.find((entry) => entry.pattern?.test(name))?.namespace;
    return this.#add(
      parent === undefined ? new Namespace(this.#server, this.#session, name) : parent._createChild(name),
    );
  }

  /** The namespaces that are there, by name. */
  get all(): Map<string, Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>> {
    return this.#byName;
  }

  /** The parent of namespaces to come. */
  parent(name: RegExp | NamespaceMatcher): Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    const pattern = name instanceof RegExp ? name : null;
    if (pattern?.global || pattern?.sticky) throw new Error("stateful regular expressions are not supported");
    const matches: NamespaceMatcher =
      name instanceof RegExp ? (given, _auth, next) => next(null, name.test(given)) : name;
    const namespace = new ParentNamespace(this.#server, this.#session, this.#removesEmpty);
    this.#parents.push({ matches, pattern, namespace });
    return namespace;
  }

  /** The namespace that a client asks for; null when nobody allows it. A function may take its time to say so. */
  resolve(
    message: ConnectMessage,
    found: (namespace: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData> | null) => void,
  ): void {
    const name = message.namespace;
    const known = this.#byName.get(name);
    if (known !== undefined) {
      found(known);
      return;
    }
    const auth = message.auth === "" ? {} : JSON.parse(message.auth);
    const ask = (index: number) => {
      const parent = this.#parents[index];
      if (parent === undefined) {
        found(null);
        return;
      }
      let decided = false;
      const decide = (error: Error | null, success: boolean) => {
        if (decided) return;
        decided = true;
        if (error || !success) ask(index + 1);
        else found(this.#byName.get(name) ?? this.#add(parent.namespace._createChild(name)));
      };
      callUser(undefined, () => {
        try {
          return parent.matches(name, auth, decide);
        } catch (error) {
          decide(null, false);
          throw error;
        }
      }, []);
    };
    ask(0);
  }

  remove(name: string): void {
    this.#byName.delete(name);
  }

  #add(
    namespace: Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
  ): Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    this.#byName.set(namespace.name, namespace);
    callListeners(this.main, "new_namespace", [namespace]);
    return namespace;
  }
}
