/**
 * The same requests to nginx and HAProxy: what they refuse we refuse, or the case says why not. That they take what we
 * refuse is nobody's fault; how often is printed.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { requires } from "@tideway/scripts/requires";
import { type Case, show } from "./case.ts";
import { Peer, type PeerName, peers, type Verdict } from "./peers.ts";
import { cases } from "./tables/index.ts";

const laneCount = 32;
/** Where a client leaves early, nobody forwards a whole request: there is nothing to compare. */
const compared = cases.filter(({ fin }) => !fin);
const isAccepted = ({ sees, status }: Case): boolean => sees.length > 0 && status === 0;
/** Not all that was to be forwarded was answered by the service: the peer answered itself, or closed. */
const isRefused = (each: Case, { answered }: Verdict): boolean => answered < Math.max(1, each.sees.length);

async function judged(name: PeerName): Promise<readonly (readonly [Case, Verdict])[]> {
  const peer = await Peer.start(name, laneCount);
  try {
    const verdicts = await peer.judge(compared);
    return compared.map((each, i) => [each, verdicts[i]!] as const);
  } finally {
    await peer.stop();
  }
}

for (const name of peers) {
  test(`what ${name} refuses we refuse, or the case says why not`, { skip: requires(name) }, async (context) => {
    const counts = { both: 0, ours: 0, theirs: 0, neither: 0 };
    const unexplained: string[] = [];
    for (const [each, verdict] of await judged(name)) {
      const refused = isRefused(each, verdict);
      if (!isAccepted(each)) counts[refused ? "both" : "ours"]++;
      else if (!refused) counts.neither++;
      else {
        counts.theirs++;
        if (each.because === "") unexplained.push(`${show(each)}: ${verdict.status}, ${verdict.answered} answered`);
      }
    }
    const { both, ours, theirs, neither } = counts;
    context.diagnostic(
      `${name}: ${compared.length} cases; both refuse ${both}, only we ${ours}, only ${name} ${theirs}, nobody ${neither}`,
    );
    assert.equal(unexplained.length, 0, `\n${unexplained.join("\n")}\n`);
    assert.ok(both > 1000 && neither > 300, "the peer was asked, and answered for itself and for the service");
  });
}
