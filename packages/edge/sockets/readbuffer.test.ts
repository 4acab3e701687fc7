import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ReadBuffer } from "./readbuffer.ts";

const whole = 64 * 1024;

/** A read that fills the buffer's first `bytes` with `fill`, as the socket would; what a handler then keeps of it. */
function read(reads: ReadBuffer, bytes: number, fill: number): Buffer {
  reads.next().fill(fill, 0, bytes);
  return reads.keep(reads.view(bytes));
}

/** Each span still holds what was read into it. */
function intact(spans: readonly Buffer[]): void {
  for (const [i, span] of spans.entries())
    assert.ok(
      span.every((byte) => byte === i + 1),
      `span ${i} was overwritten`,
    );
}

describe("the read buffer", () => {
  it("small reads share one buffer between connections, and what is kept of them is a copy", () => {
    const [one, two] = [new ReadBuffer(), new ReadBuffer()];
    const spans = [read(one, 100, 1), read(two, 100, 2), read(one, 100, 3)];
    assert.equal(one.next(), two.next());
    intact(spans);
  });

  it("large reads get buffers of their own, handed on without a copy and never read into while held", () => {
    const reads = new ReadBuffer();
    const spans = [1, 2, 3, 4].map((fill) => read(reads, whole, fill));
    const other = new ReadBuffer();
    read(other, whole, 9);
    intact(spans);
    assert.equal(reads.view(whole), spans[3], "not a copy");
  });

  it("what is no longer held is read into again", () => {
    const reads = new ReadBuffer();
    read(reads, whole, 1);
    const seen = new Set<ArrayBufferLike>();
    for (let i = 0; i < 100; i++) {
      seen.add(read(reads, whole, 2).buffer);
      reads.recycle();
    }
    assert.equal(seen.size, 1);
    const held = [read(reads, whole, 1), read(reads, whole, 2), read(reads, whole, 3)];
    intact(held);
    reads.recycle();
    const again = [1, 2, 3].map(() => read(reads, whole, 4).buffer);
    for (const memory of again) assert.ok(held.some((span) => span.buffer === memory));
  });

  it("after a message is over, what its receiver may still hold is not read into by the next", () => {
    const reads = new ReadBuffer();
    read(reads, whole, 1);
    const spans = [read(reads, whole, 1), read(reads, whole, 2)];
    reads.forget();
    read(reads, whole, 9);
    reads.recycle();
    for (let i = 0; i < 4; i++) {
      read(reads, whole, 9);
      reads.recycle();
    }
    intact(spans);
  });

  it("a small read lets go of all buffers: an idle connection holds none", () => {
    const reads = new ReadBuffer();
    read(reads, whole, 1);
    read(reads, whole, 1);
    read(reads, 10, 1);
    const shared = new ReadBuffer().next();
    assert.equal(reads.next(), shared);
    reads.recycle();
    assert.equal(reads.next(), shared);
  });

  it("a socket is told where to read when it opens, and when the place changes", () => {
    const reads = new ReadBuffer();
    const shared = reads.renew();
    assert.ok(shared !== undefined);
    assert.equal(reads.renew(), shared, "opened anew, as for another address of the same name");
    reads.view(100);
    assert.equal(reads.renew(), undefined);
    reads.view(whole);
    const own = reads.renew();
    assert.ok(own !== undefined && own !== shared);
    reads.view(whole);
    assert.equal(reads.renew(), undefined, "nothing of it was kept");
    reads.keep(reads.view(whole));
    const another = reads.renew();
    assert.ok(another !== undefined && another !== own);
    reads.view(10);
    assert.equal(reads.renew(), shared);
  });

  it("what was given away is never read into again, and no longer known", () => {
    const reads = new ReadBuffer();
    const given: Buffer[] = [];
    for (let fill = 1; fill <= 6; fill++) {
      reads.next().fill(fill, 0, whole);
      given.push(reads.give(reads.view(whole)));
      reads.recycle();
    }
    intact(given);
    assert.notEqual(given[0], given[1]);
    for (const span of given) (span.buffer as ArrayBuffer).transfer(0);
    reads.next().fill(7, 0, whole);
    assert.equal(reads.view(whole).length, whole, "what its owner freed is not read into");
  });
});
