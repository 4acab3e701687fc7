/** What leaves a queue in one write is what its packets are one by one, whoever else gets them. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Packet } from "@tideway/engine/hub";
import { FrameJoiner } from "./encoding.ts";

function answer(text: string, attachments: readonly Uint8Array[] = []): Packet {
  return new Packet(text, attachments, false, true, true);
}

function apart(joiner: FrameJoiner, packets: readonly Packet[]): Buffer {
  return Buffer.concat(packets.map(({ text, attachments }) => joiner.framesOf(new Packet(text, attachments))));
}

test("answers alone, answers among what others get too, and answers with attachments are joined to the same bytes", () => {
  const joiner = new FrameJoiner();
  const long = "é".repeat(200);
  const queues = [
    [answer("30[1]"), answer(`31["${long}"]`), answer('32["\u{1f30a}"]')],
    [answer("30[1]"), new Packet('2["post"]'), answer(`31["${long}"]`)],
    [answer("30[1]"), answer('61-31[{"_placeholder":true,"num":0}]', [Buffer.from([1, 2, 3])])],
  ];
  for (const queue of queues) {
    assert.deepEqual(joiner.join(queue), apart(joiner, queue));
    assert.deepEqual(joiner.join([...queue]), apart(joiner, queue), "the same again");
  }
});
