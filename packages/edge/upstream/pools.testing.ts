/**
 * For this room's tests: a pool whose probes are answered by the test, on a clock that it moves. Never imported by running code.
 */
import { afterEach } from "node:test";
import { FakeClock, SeededRandom } from "@tideway/base/testing";
import { Member, Pool, type PoolOptions, type ProbeDone } from "./index.ts";
import { WatchedLog } from "./testing.ts";

/** Closed after each test. */
export const open: { close(): unknown }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.close();
});

export interface Rig {
  readonly pool: Pool;
  readonly clock: FakeClock;
  readonly log: WatchedLog;
  /** The probes under way, by the port that is asked. */
  readonly asked: Map<number, ProbeDone>;
  answer(port: number, passed: boolean): void;
  member(id: string): Member;
}

/** A pool whose probes are answered by the test. */
export function rig(options: Partial<PoolOptions> = {}): Rig {
  const clock = new FakeClock();
  const log = new WatchedLog();
  const asked = new Map<number, ProbeDone>();
  const pool = new Pool(
    {
      name: "db",
      clock,
      random: new SeededRandom(1),
      logger: log,
      probe: ({ port }, done) => {
        asked.set(port, done);
        return { cancel: () => void asked.delete(port) };
      },
      ...options,
    },
    (address, owner, now) => new Member(address, owner, now),
  );
  open.push(pool);
  const answer = (port: number, passed: boolean) => {
    const done = asked.get(port)!;
    asked.delete(port);
    done(passed, passed ? "" : "no");
  };
  return { pool, clock, log, asked, answer, member: (id) => pool.members.find((each) => each.id === id)! };
}

/** A pool of "a", "b", "c" at the ports 1, 2, 3, all up. */
export function three(options: Partial<PoolOptions> = {}): Rig {
  const made = rig(options);
  for (const [i, id] of ["a", "b", "c"].entries()) {
    made.pool.add({ id, host: "192.0.2.1", port: i + 1 });
    made.answer(i + 1, true);
  }
  return made;
}

/** Requests that are over at once, and how they fared. */
export function fare(rig: Rig, id: string, how: "well" | "failed" | number, times = 1, ms = 0): void {
  const { member, clock } = rig;
  for (let i = 0; i < times; i++) {
    const one = member(id);
    one.begin(clock.now());
    if (how === "failed") one.failed("broken", false, clock.now() - ms);
    else one.answered(ms, clock.now(), how === "well" ? 200 : how);
    one.end();
  }
}

export const stateOf = ({ pool }: Rig, id: string) => pool.status().find((each) => each.id === id)!;
