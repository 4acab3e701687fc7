/**
 * Keeps the stored records of sessions true: at every change, and now and then while a session lives.
 *
 * A record that the store had no room for is written again before the next event of its namespace: so an event that is
 * committed implies the memberships that were there before it.
 */
import type { Timer } from "@tideway/base";
import type { SessionRecord } from "./contract.ts";
import type { Namespace } from "./namespace.ts";
import type { Registry } from "./registry.ts";
import type { HubSocket } from "./socket.ts";

/** Records per namespace that wait for room in the store. */
const unsavedMax = 100_000;
/** Records written again per look. */
const refreshPerLook = 1_000;
const refreshLookMs = 60_000;

export class Sessions {
  readonly #registry: Registry;
  /** When each living session was last written; the oldest first. */
  readonly #written = new Map<HubSocket, number>();
  /** Taken up, and not written since: nobody knows how old their records are. */
  readonly #takenUp = new Set<HubSocket>();
  #timer: Timer | null = null;

  constructor(registry: Registry) {
    this.#registry = registry;
  }

  recordOf(socket: HubSocket): SessionRecord | null {
    const { session, pid, id, namespace, data } = socket;
    return session === null || pid === "" ? null : session.record(pid, id, namespace, data);
  }

  /** Writes the record of a session that has one already. */
  save(socket: HubSocket): void {
    const record = this.recordOf(socket);
    if (record === null) return;
    this.#seen(socket);
    this.#write(this.#registry.namespace(socket.namespace), record);
  }

  /**
   * The client came back, and its record is true as it was found. It is written again with the next look, not now: after a
   * kill all clients come back at once, and a record costs as much as the rest of a return in the store.
   */
  takeUp(socket: HubSocket): void {
    this.#takenUp.add(socket);
    this.#lookLater();
  }

  /** Writes a record for the first time. */
  begin(socket: HubSocket, record: SessionRecord, done: (saved: boolean) => void): void {
    this.#registry.namespaces.get(socket.namespace)?.unsaved.delete(record.pid);
    this.#registry.surroundings.store?.saveSession(record, (saved) => {
      if (saved) this.#seen(socket);
      done(saved);
    });
  }

  load(namespace: string, pid: string, done: (record: SessionRecord | null) => void): void {
    const known = this.#registry.namespaces.get(namespace);
    const unsaved = known?.unsaved.get(pid);
    if (known !== undefined && unsaved !== undefined) this.#write(known, unsaved);
    this.#registry.surroundings.store?.loadSession(pid, (record) => {
      const stale = known?.unsaved.has(pid) === true;
      done(stale || record?.namespace !== namespace ? null : record);
    });
  }

  /** The client will not come back to it. */
  drop(socket: HubSocket): void {
    if (socket.pid === "" || socket.session === null) return;
    this.#registry.namespaces.get(socket.namespace)?.unsaved.delete(socket.pid);
    this.dropPid(socket.pid);
  }

  dropPid(pid: string): void {
    this.#registry.surroundings.store?.dropSession(pid);
  }

  /** The socket is gone; its record stays. */
  forget(socket: HubSocket): void {
    this.#written.delete(socket);
    this.#takenUp.delete(socket);
  }

  /** To be called before each append: what the store had no room for goes first. */
  saveUnsaved(namespace: Namespace): void {
    if (namespace.unsaved.size === 0) return;
    const records = [...namespace.unsaved.values()];
    namespace.unsaved.clear();
    for (const record of records) this.#write(namespace, record);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#written.clear();
    this.#takenUp.clear();
  }

  #write(namespace: Namespace, record: SessionRecord): void {
    namespace.unsaved.delete(record.pid);
    this.#registry.surroundings.store?.saveSession(record, (saved) => {
      // A newer record may be on its way; it will say for itself how it fared.
      if (saved || namespace.unsaved.has(record.pid)) return;
      if (namespace.unsaved.size >= unsavedMax) this.dropPid(record.pid);
      else namespace.unsaved.set(record.pid, record);
    });
  }

  #seen(socket: HubSocket): void {
    if (socket.gone) return;
    this.#takenUp.delete(socket);
    this.#written.delete(socket);
    this.#written.set(socket, this.#registry.surroundings.clock.now());
    this.#lookLater();
  }

  #lookLater(): void {
    this.#timer ??= this.#registry.surroundings.clock.after(refreshLookMs, () => this.#refresh());
  }

  #refresh(): void {
    const { clock, limits } = this.#registry.surroundings;
    const due = clock.now() - limits.sessionRefreshMs;
    this.#timer = null;
    let left = refreshPerLook;
    for (const socket of this.#takenUp) {
      if (left-- === 0) break;
      this.save(socket);
    }
    for (const [socket, at] of this.#written) {
      if (at > due || left-- <= 0) break;
      this.save(socket);
    }
    if (this.#written.size + this.#takenUp.size > 0) this.#lookLater();
  }
}
