import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { test } from "node:test";
import fc from "fast-check";
import { checkHandshake } from "./index.ts";

const sha1 = (text: string) => hash("sha1", text, "base64");
const NONE = "declined";
const BARE = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/** What a server answers to offers, in one field or several: a status when it refuses. */
function answer(offers: string | string[], windowBitsMax = 15): string | number {
  const offered = [offers].flat().flatMap((offer) => ["sec-websocket-extensions", offer]);
  const fields = ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version", "13", ...offered];
  const result = checkHandshake({ method: "GET", version: 11, upgrade: "websocket", fields }, sha1, { windowBitsMax });
  if (!result.ok) return result.status;
  const at = result.fields.indexOf("sec-websocket-extensions");
  assert.equal(at < 0, result.deflateBits === 0);
  return at < 0 ? NONE : result.fields[at + 1]!;
}

const table: [offers: string | string[], answer: string | number, windowBitsMax?: number][] = [
  ["permessage-deflate", BARE],
  ["permessage-deflate; client_max_window_bits", BARE],
  ["permessage-deflate; client_max_window_bits=8", BARE],
  ['permessage-deflate; client_max_window_bits="15"', BARE],
  ["permessage-deflate; server_no_context_takeover; client_no_context_takeover", BARE],
  ["permessage-deflate;server_max_window_bits=10", `${BARE}; server_max_window_bits=10`],
  ["permessage-deflate ; server_max_window_bits = 15", `${BARE}; server_max_window_bits=12`, 12],
  ['permessage-deflate; server_max_window_bits="\\1\\0"', `${BARE}; server_max_window_bits=10`],
  ["permessage-deflate", BARE, 9],
  // What zlib cannot do, and what RFC 7692 §7.1 says to decline.
  ["permessage-deflate; server_max_window_bits=8", NONE],
  ["permessage-deflate; server_max_window_bits=7", NONE],
  ["permessage-deflate; server_max_window_bits=16", NONE],
  ["permessage-deflate; server_max_window_bits=010", NONE],
  ["permessage-deflate; server_max_window_bits=+9", NONE],
  ["permessage-deflate; server_max_window_bits=1e1", NONE],
  ["permessage-deflate; server_max_window_bits", NONE],
  ["permessage-deflate; client_max_window_bits=16", NONE],
  ["permessage-deflate; client_max_window_bits=x", NONE],
  ["permessage-deflate; server_no_context_takeover=1", NONE],
  ["permessage-deflate; client_no_context_takeover=true", NONE],
  ["permessage-deflate; server_no_context_takeover; server_no_context_takeover", NONE],
  ["permessage-deflate; client_max_window_bits; client_max_window_bits=9", NONE],
  ["permessage-deflate; level=9", NONE],
  ["permessage-deflate; __proto__", NONE],
  ["x-webkit-deflate-frame", NONE],
  ["permessage-bzip2", NONE],
  ["Permessage-Deflate", NONE],
  // The first offer that can be kept, whatever stands before it.
  ["permessage-deflate; server_max_window_bits=8, permessage-deflate", BARE],
  [
    "permessage-foo; a=1, permessage-deflate; x, permessage-deflate; server_max_window_bits=9",
    `${BARE}; server_max_window_bits=9`,
  ],
  [["foo", "permessage-deflate", "permessage-deflate; server_max_window_bits=9"], BARE],
  [", permessage-deflate ,, ", BARE],
  // Not the grammar of §9.1.
  ["permessage-deflate;", 400],
  ["permessage-deflate; ;server_no_context_takeover", 400],
  ["permessage-deflate server_no_context_takeover", 400],
  ["permessage-deflate; server_max_window_bits=", 400],
  ['permessage-deflate; server_max_window_bits="10', 400],
  ['permessage-deflate; server_max_window_bits="1 0"', 400],
  ['permessage-deflate; server_max_window_bits=""', 400],
  ["permessage-deflate; =10", 400],
  ["perme(ssage", 400],
  ["permessage-deflate, ;", 400],
];

for (const [offers, expected, windowBitsMax] of table) {
  test(`${JSON.stringify(offers)} is answered ${JSON.stringify(expected)}`, () =>
    assert.equal(answer(offers, windowBitsMax), expected));
}

test("a server without compression looks at no offer, not even a malformed one", () => {
  const fields = ["sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==", "sec-websocket-version", "13"];
  fields.push("sec-websocket-extensions", "permessage-deflate;;");
  const result = checkHandshake({ method: "GET", version: 11, upgrade: "websocket", fields }, sha1);
  assert.ok(result.ok && result.deflateBits === 0);
});

test("any text is answered, in time that grows with its length", () => {
  const piece = fc.constantFrom(
    "permessage-deflate",
    ";",
    ",",
    "=",
    '"',
    "\\",
    " ",
    "server_max_window_bits",
    "10",
    "\t",
    "é",
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 400 }), (pieces) => {
      assert.ok([400, NONE].includes(answer(pieces.join(""))) || String(answer(pieces.join(""))).startsWith(BARE));
    }),
    { numRuns: 500 },
  );
});
