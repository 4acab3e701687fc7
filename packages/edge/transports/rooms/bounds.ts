/** How many read, in all and of one address, and how much is being published: who may come in, and who must come again. */
import { compileRate, type RateLimit } from "@tideway/engine/limiting";
import { countedAddress } from "../sessions.ts";

export interface RoomBoundsSettings {
  readonly roomReadersMax: number;
  readonly roomReadersPerAddressMax: number;
  readonly roomPublishesPerSecondMax: number;
}

/** Bytes of publishes that are on their way in, over all clients. */
const bodyBytesMax = 64 * 1024 * 1024;

export class RoomBounds {
  readonly #settings: RoomBoundsSettings;
  readonly #rate: RateLimit;
  readonly #byAddress = new Map<string, number>();
  #readers = 0;
  #bodyBytes = 0;

  constructor(settings: RoomBoundsSettings) {
    this.#settings = settings;
    const compiled = compileRate({ requests: settings.roomPublishesPerSecondMax, per: "second", name: "publish" }, []);
    if (!compiled.ok) throw new RangeError(`roomPublishesPerSecondMax: ${compiled.faults[0]?.allowed}`);
    this.#rate = compiled.rate;
  }

  /** Counts a reader in; says why not, when there are too many. */
  enter(address: string): "full" | "address" | null {
    if (this.#readers >= this.#settings.roomReadersMax) return "full";
    const key = countedAddress(address);
    const open = this.#byAddress.get(key) ?? 0;
    if (key !== "" && open >= this.#settings.roomReadersPerAddressMax) return "address";
    this.#readers++;
    if (key !== "") this.#byAddress.set(key, open + 1);
    return null;
  }

  leave(address: string): void {
    this.#readers--;
    const key = countedAddress(address);
    const left = (this.#byAddress.get(key) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(key);
    else if (key !== "") this.#byAddress.set(key, left);
  }

  /** Fields for the refusal when the address publishes too often; null when it does not. */
  tooOften(address: string, now: number): string[] | null {
    const key = countedAddress(address);
    if (key === "") return null;
    const decision = this.#rate.take(key, now);
    return decision.allowed ? null : this.#rate.refusalFields(decision);
  }

  /** Whether a body of so many bytes may come in: its place is kept until `leaveBody`. */
  enterBody(bytes: number): boolean {
    if (this.#bodyBytes + bytes > bodyBytesMax && this.#bodyBytes > 0) return false;
    this.#bodyBytes += bytes;
    return true;
  }

  leaveBody(bytes: number): void {
    this.#bodyBytes -= bytes;
  }
}
