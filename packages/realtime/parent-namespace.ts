/**
 * Namespaces made on demand, by a pattern or a function: what is set on the parent holds for each child, and what is
 * sent to the parent goes to all children.
 */
import { Namespace } from "./namespace.ts";
import type { Server } from "./server.ts";
import type { HubSession } from "./session.ts";
import type { Socket } from "./socket.ts";
import type { Any, EventNames, EventParams, EventsMap, RemoveAcknowledgements } from "./typed-events.ts";

/** Decides whether clients may open the namespace `name`. */
export type NamespaceMatcher = (
  name: string,
  auth: { [key: string]: Any },
  next: (error: Error | null, success: boolean) => void,
) => void;

let parents = 0;

export class ParentNamespace<
  ListenEvents extends EventsMap,
  EmitEvents extends EventsMap,
  ServerSideEvents extends EventsMap,
  SocketData,
> extends Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
  readonly children = new Set<Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData>>();
  readonly #removesEmpty: boolean;

  /** @internal */
  constructor(
    server: Server<ListenEvents, EmitEvents, ServerSideEvents, SocketData>,
    session: HubSession,
    removesEmpty: boolean,
  ) {
    super(server, session, `/_${parents++}`);
    this.#removesEmpty = removesEmpty;
  }

  override emit<Ev extends EventNames<RemoveAcknowledgements<EmitEvents>>>(
    ev: Ev,
    ...args: EventParams<RemoveAcknowledgements<EmitEvents>, Ev>
  ): boolean {
    for (const child of this.children) child.emit(ev, ...args);
    return true;
  }

  override fetchSockets(): never {
    throw new Error("fetchSockets() is not supported on parent namespaces");
  }

  /** Rooms are opened in namespaces that are there: in a listener of `new_namespace`, for example. */
  override open(): never {
    throw new Error("open() is not supported on parent namespaces");
  }

  override offset(): never {
    throw new Error("offset() is not supported on parent namespaces");
  }

  /** @internal */
  _createChild(name: string): Namespace<ListenEvents, EmitEvents, ServerSideEvents, SocketData> {
    const child = new Namespace(this.server, this.session, name);
    for (const middleware of this.middlewares) child.use(middleware);
    for (const listener of this.listeners("connect")) child.on("connect", listener);
    for (const listener of this.listeners("connection")) child.on("connection", listener);
    this.children.add(child);
    if (this.#removesEmpty) {
      const forget = child._forget.bind(child);
      child._forget = (socket: Socket<ListenEvents, EmitEvents, ServerSideEvents, SocketData>) => {
        forget(socket);
        if (child.sockets.size > 0) return;
        this.children.delete(child);
        this.server._removeNamespace(child.name);
      };
    }
    return child;
  }
}
