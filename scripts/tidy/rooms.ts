/**
 * The tiers and the rooms: which folder is which room, and which rooms it may import. `ARCHITECTURE.md` draws the same.
 * Arrows point down the tiers; a sibling only where this table says so, with its reason.
 */

export const tiers = ["base", "wire", "engine", "edge", "realtime", "tideway"] as const;
export type Tier = (typeof tiers)[number];

/** Tiers without I/O, clock or chance. */
export const pureTiers: readonly Tier[] = ["base", "wire", "engine"];

/** Tiers whose folders are rooms of their own; the others are one room each. */
const dividedTiers: readonly Tier[] = ["wire", "engine", "edge", "tideway"];

/** Room to the siblings that it may import, through their front door. */
export const siblings: Readonly<Record<string, readonly string[]>> = {
  // A request's and a response's fields are read the same way by the codec and by everyone else.
  "wire/http1": ["wire/fields"],
  // Socket.IO packets travel as Engine.IO messages; both codecs stay separate, transports join them.
  // A request goes to a service, and an upgraded connection becomes a tunnel.
  "edge/proxy": ["edge/upstream", "edge/tunnel"],
  // How a socket is read and written is the same towards clients and upstreams.
  "edge/tunnel": ["edge/sockets"],
  "edge/listener": ["edge/sockets"],
  "edge/upstream": ["edge/sockets"],
  "edge/transports": ["edge/sockets"],
  // A connection or session goes to an instance of a pool as a request does; a TCP connection is a tunnel from then on.
  "edge/layer4": ["edge/upstream", "edge/tunnel"],
  // The top of the system, in order: the configuration, the console, the running system, the commands, the program.
  "tideway/console": ["tideway/config"],
  "tideway/system": ["tideway/config", "tideway/console"],
  "tideway/cli": ["tideway/config", "tideway/console", "tideway/system"],
  "tideway/bin": ["tideway/cli"],
  "tideway/.": ["tideway/config"],
};

/** Rooms for tests and for those who wire: an edge room is handed its clock. */
export const wiringOnly: Readonly<Record<string, readonly Tier[]>> = { "edge/clock": ["realtime", "tideway"] };

export interface Room {
  /** `wire/http1`; `tideway/.` for files directly in a divided package; `base` for an undivided one. */
  readonly name: string;
  readonly tier: Tier;
  readonly folder: string;
}

/** The room of a file, or null outside `packages/`. */
export function roomOf(path: string): Room | null {
  const [top, tierName, ...rest] = path.split("/");
  const tier = tiers.find((each) => each === tierName);
  if (top !== "packages" || tier === undefined || rest.length === 0) return null;
  if (!dividedTiers.includes(tier)) return { name: tier, tier, folder: `packages/${tier}` };
  if (rest.length === 1) return { name: `${tier}/.`, tier, folder: `packages/${tier}` };
  return { name: `${tier}/${rest[0]}`, tier, folder: `packages/${tier}/${rest[0]}` };
}

export function isFrontDoor(path: string): boolean {
  return path.endsWith("/index.ts");
}
