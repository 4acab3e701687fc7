/**
 * Properties over what nobody wrote down: messages in any spelling, and messages that were damaged. Whatever is accepted
 * has one reading: it serialises to something that parses to the same, and that careless readers read the same way.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FieldList, limits, type RequestHead } from "@tideway/base";
import fc from "fast-check";
import { endToEndFields } from "../fields/index.ts";
import { careless, readCarelessly } from "./careless.testing.ts";
import {
  chunkEnd,
  encodeChunkHead,
  encodeLastChunk,
  encodeRequestHead,
  encodeResponseHead,
  Framing,
  RequestDecoder,
  ResponseDecoder,
  type ResponseHead,
} from "./index.ts";
import { bytes, cutAt } from "./testing.ts";

interface Message<Head> {
  readonly head: Head;
  readonly chunks: string[];
  trailers: FieldList;
  whole: boolean;
}

interface Read<Head> {
  readonly messages: Message<Head>[];
  fault: string;
}

/** A sink that keeps what it is told, and notices what no decoder may tell. */
function keeper<Head>(read: Read<Head>) {
  const last = (): Message<Head> => {
    const message = read.messages.at(-1);
    assert.ok(message !== undefined && !message.whole && read.fault === "", "told in order, and nothing after a fault");
    return message;
  };
  return {
    onHead(head: Head): void {
      assert.ok(read.fault === "" && read.messages.at(-1)?.whole !== false);
      read.messages.push({ head, chunks: [], trailers: [], whole: false });
    },
    onBody(chunk: Buffer): void {
      assert.ok(chunk.length > 0);
      last().chunks.push(chunk.toString("latin1"));
    },
    onEnd(trailers: FieldList): void {
      const message = last();
      message.trailers = trailers;
      message.whole = true;
    },
    onFault({ code }: { readonly code: string }): void {
      assert.equal(read.fault, "", "a fault is told once");
      read.fault = code;
    },
  };
}

function readRequests(pieces: readonly Buffer[]): Read<RequestHead> {
  const read: Read<RequestHead> = { messages: [], fault: "" };
  const decoder = new RequestDecoder(limits, keeper(read));
  for (const piece of pieces) {
    for (let at = 0; at < piece.length && read.fault === ""; ) {
      const next = decoder.decode(piece, at);
      assert.ok(next > at || read.fault !== "", "a decoder that is not halted goes on");
      at = next;
    }
  }
  return read;
}

function readResponse(pieces: readonly Buffer[], method: string): Read<ResponseHead> & { left: number } {
  const read: Read<ResponseHead> & { left: number } = { messages: [], fault: "", left: 0 };
  const decoder = new ResponseDecoder(limits, { ...keeper(read), onInterim() {} });
  decoder.begin(method);
  for (const piece of pieces) read.left += piece.length - decoder.decode(piece, 0);
  decoder.eof();
  return read;
}

/* ------------------------------------------------------------------ messages in any spelling */

const anyCase = (text: string): fc.Arbitrary<string> =>
  fc
    .array(fc.boolean(), { minLength: text.length, maxLength: text.length })
    .map((upper) => [...text].map((c, i) => (upper[i] ? c.toUpperCase() : c.toLowerCase())).join(""));
const space = fc.stringMatching(/^[ \t]{0,3}$/);
const value = fc.stringMatching(/^([\x21-\x7e\x80-\xff]([\t\x20-\x7e\x80-\xff]{0,12}[\x21-\x7e\x80-\xff])?)?$/);
const method = fc.oneof(
  fc.constantFrom("GET", "HEAD", "POST", "PUT", "OPTIONS"),
  fc.stringMatching(/^[A-Z!#$%&'*+.^_`|~a-z-]{1,12}$/),
);
const path = fc.stringMatching(/^\/([a-z0-9~!$&'()*+,;=:@/._-]|%[2-7][0-9a-e]){0,20}$/);
const query = fc.stringMatching(/^(\?[\x21\x22\x24-\x7e]{0,10})?$/);
const host = fc.constantFrom("a.test", "A.test:81", "[::1]:8080", "x");
const field = fc
  .tuple(fc.stringMatching(/^[a-zA-Z0-9!#$%&'*+.^`|~-]{1,10}$/), space, value, space)
  .filter(([name]) => !isSpecial(name));

/** What the decoders look at is spelled on purpose below, and nowhere else. */
function isSpecial(name: string): boolean {
  return /^(?:host|content-length|transfer-encoding|connection|upgrade|expect|te|trailer|from|keep-alive)$/i.test(name);
}

interface Spelled {
  readonly wire: string;
  readonly method: string;
  readonly fields: FieldList;
  readonly body: string;
  readonly chunked: boolean;
}

const spelled: fc.Arbitrary<Spelled> = fc
  .record({
    method,
    path,
    query,
    host,
    fields: fc.array(field, { maxLength: 6 }),
    spaces: fc.tuple(space, space),
    body: fc.array(fc.stringMatching(/^[\x00-\xff]{1,10}$/), { maxLength: 3 }),
    chunked: fc.boolean(),
    zeros: fc.nat(3),
    extension: fc.constantFrom("", ";a", ';b="c;\\""', ";d=e"),
    trailer: fc.constantFrom("", "X-T: 1\r\n", "X-T:\r\nX-U: \xe9\r\n"),
    length: anyCase("content-length"),
    encoding: fc.tuple(anyCase("transfer-encoding"), anyCase("chunked")),
    blank: fc.nat(2),
  })
  .filter(({ method }) => method !== "CONNECT" && method !== "TRACE")
  .map((parts) => {
    const { chunked, spaces, body } = parts;
    const own = parts.fields.map(([name, before, text, after]) => `${name}:${before}${text}${after}\r\n`).join("");
    const framing = chunked
      ? `${parts.encoding[0]}: ${parts.encoding[1]}\r\n`
      : `${parts.length}:${spaces[0]}${body.join("").length}${spaces[1]}\r\n`;
    const size = (text: string): string => "0".repeat(parts.zeros) + text.length.toString(16) + parts.extension;
    const chunks = body.map((text) => `${size(text)}\r\n${text}\r\n`).join("");
    const payload = chunked ? `${chunks}0${parts.extension}\r\n${parts.trailer}\r\n` : body.join("");
    const line = `${parts.method} ${parts.path}${parts.query} HTTP/1.1\r\n`;
    const wire = `${"\r\n".repeat(parts.blank)}${line}Host:${spaces[0]}${parts.host}${spaces[1]}\r\n${own}${framing}\r\n${payload}`;
    const fields = parts.fields.flatMap(([name, , text]) => [name.toLowerCase(), text]);
    return { wire, method: parts.method, fields, body: body.join(""), chunked };
  });

const places = fc.array(fc.nat(4000), { maxLength: 6 });

test("a request in any spelling is read to the same values, however cut; cut short it neither ends nor faults", () => {
  fc.assert(
    fc.property(fc.array(spelled, { minLength: 1, maxLength: 3 }), places, fc.nat(), (requests, cuts, short) => {
      const wire = bytes(requests.map((each) => each.wire).join(""));
      const read = readRequests(cutAt(wire, cuts));
      assert.equal(read.fault, "");
      assert.equal(read.messages.length, requests.length);
      for (const [i, { head, chunks, whole }] of read.messages.entries()) {
        const request = requests[i]!;
        assert.ok(whole);
        assert.equal(head.method, request.method);
        assert.equal(chunks.join(""), request.body);
        const own = head.fields.filter((_, at) => !isSpecial(head.fields[at - (at % 2)]!));
        assert.deepEqual(own, request.fields);
        assert.equal(head.bodyLength, request.chunked ? -1 : request.body.length);
      }
      const part = readRequests([wire.subarray(0, short % wire.length)]);
      assert.equal(part.fault, "");
      assert.ok(part.messages.filter(({ whole }) => whole).length < requests.length);
    }),
    { numRuns: 600 },
  );
});

/* ------------------------------------------------------------------ one reading */

/** HTTP/1.0 may name no host: then the service's own is asked for. */
const hostOf = ({ authority }: RequestHead): string => (authority === "" ? "service.test" : authority);

/** As the proxy writes it to a service. */
function forwarded({ head, chunks, trailers }: Message<RequestHead>): string {
  const fields = endToEndFields(head.fields, new Set(["host"]), ["host", hostOf(head)]);
  const framing = head.bodyLength === 0 ? Framing.none : head.bodyLength < 0 ? Framing.chunked : head.bodyLength;
  return encodeRequestHead(head.method, head.path + head.query, fields, framing) + payload(chunks, trailers, framing);
}

function payload(chunks: readonly string[], trailers: FieldList, framing: number): string {
  if (framing !== Framing.chunked) return chunks.join("");
  return chunks.map((chunk) => encodeChunkHead(chunk.length) + chunk + chunkEnd).join("") + encodeLastChunk(trailers);
}

/** One damage to a message: a byte replaced, added or removed, or a stretch repeated or taken away. */
const damage = fc.record({
  kind: fc.constantFrom("replace", "insert", "remove", "repeat", "drop"),
  at: fc.nat(),
  length: fc.integer({ min: 1, max: 40 }),
  text: fc.oneof(
    fc.constantFrom(
      ...'\r|\n|\r\n|\t| |  |\0|\x0b|\x0c|\x7f|\x80|\x85|\xa0|\xff|:|,|;|_|-|0|5|x|%|/|\\|?|#|@|"'.split("|"),
    ),
    fc.constantFrom(
      "Content-Length: 3\r\n",
      "Transfer-Encoding: chunked\r\n",
      "0\r\n\r\n",
      "GET /s HTTP/1.1\r\nHost: a\r\n\r\n",
      "Content_Length: 9\r\n",
    ),
  ),
});

function damaged(wire: string, damages: readonly (typeof damage extends fc.Arbitrary<infer T> ? T : never)[]): string {
  let text = wire;
  for (const { kind, at: anywhere, length, text: other } of damages) {
    const at = anywhere % (text.length + 1);
    if (kind === "replace") text = text.slice(0, at) + other + text.slice(at + other.length);
    else if (kind === "insert") text = text.slice(0, at) + other + text.slice(at);
    else if (kind === "remove") text = text.slice(0, at) + text.slice(at + 1);
    else if (kind === "repeat") text = text.slice(0, at + length) + text.slice(at);
    else text = text.slice(0, at) + text.slice(at + length);
  }
  return text;
}

const damages = fc.array(damage, { minLength: 0, maxLength: 4 });

/** What a message means, apart from how its body came. */
const meaning = ({ head, chunks, trailers }: Message<RequestHead>) => ({
  start: [head.method, head.path, head.query, hostOf(head)],
  fields: endToEndFields(head.fields, new Set(["host"])),
  body: chunks.join(""),
  trailers,
});

test("damaged requests never throw, tell the same however cut, and what is accepted has exactly one reading", () => {
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(
      fc.array(spelled, { minLength: 1, maxLength: 2 }),
      damages,
      places,
      careless,
      (requests, how, cuts, reader) => {
        const wire = bytes(damaged(requests.map((each) => each.wire).join(""), how));
        const read = readRequests([wire]);
        const inPieces = readRequests(cutAt(wire, cuts));
        const whole = read.messages.filter((message) => message.whole);
        assert.deepEqual(inPieces.messages.filter((message) => message.whole).map(meaning), whole.map(meaning));
        accepted += whole.length;
        if (read.fault !== "") refused++;

        const onward = whole.map(forwarded).join("");
        const again = readRequests([bytes(onward)]);
        assert.equal(again.fault, "", onward);
        assert.deepEqual(again.messages.map(meaning), whole.map(meaning));
        assert.equal(again.messages.map(forwarded).join(""), onward, "serialising is idempotent");
        const expected = whole.map(({ head, chunks }) => {
          return { start: `${head.method} ${head.path}${head.query} HTTP/1.1`, body: chunks.join("") };
        });
        assert.deepEqual(readCarelessly(onward, reader), expected, onward);
      },
    ),
    { numRuns: 4000 },
  );
  assert.ok(accepted > 500 && refused > 500, `${accepted} accepted, ${refused} refused: both are tried`);
});

/* ------------------------------------------------------------------ responses */

const response = fc
  .record({
    status: fc.oneof(fc.constantFrom(200, 204, 304, 404), fc.integer({ min: 200, max: 599 })),
    fields: fc.array(field, { maxLength: 5 }),
    body: fc.array(fc.stringMatching(/^[\x00-\xff]{1,10}$/), { maxLength: 3 }),
    framing: fc.constantFrom("length", "chunked", "close"),
    interim: fc.constantFrom("", "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", "HTTP/1.1 100 Continue\r\n\r\n"),
  })
  .map(({ status, fields, body, framing, interim }) => {
    const own = fields.map(([name, before, text, after]) => `${name}:${before}${text}${after}\r\n`).join("");
    const bodiless = status === 204 || status === 304;
    const line = `HTTP/1.1 ${status} X\r\n${own}`;
    if (bodiless || framing === "close") return `${interim}${line}\r\n${bodiless ? "" : body.join("")}`;
    if (framing === "length") return `${interim}${line}Content-Length: ${body.join("").length}\r\n\r\n${body.join("")}`;
    return `${interim}${line}Transfer-Encoding: chunked\r\n\r\n${payload(body, [], Framing.chunked)}`;
  });

test("damaged responses never throw, end or fault when the connection does, and what is accepted has exactly one reading", () => {
  let accepted = 0;
  let refused = 0;
  fc.assert(
    fc.property(
      response,
      damages,
      places,
      fc.constantFrom("GET", "HEAD"),
      careless,
      (text, how, cuts, asked, reader) => {
        const wire = bytes(damaged(text, how));
        const read = readResponse([wire], asked);
        const inPieces = readResponse(cutAt(wire, cuts), asked);
        const [answer] = read.messages;
        assert.ok(read.messages.length <= 1);
        assert.equal(answer?.whole === true, read.fault === "", "it is whole, or there was a fault");
        assert.equal(inPieces.fault === "", read.fault === "");
        if (answer?.whole !== true) {
          refused++;
          return;
        }
        accepted++;
        assert.equal(inPieces.left, read.left);
        assert.deepEqual(inPieces.messages[0]?.head, answer.head);
        assert.equal(inPieces.messages[0]?.chunks.join(""), answer.chunks.join(""));
        const { status, fields } = answer.head;
        const bodiless = asked === "HEAD" || status === 204 || status === 304;
        const framing = bodiless ? Framing.none : Framing.chunked;
        const onward =
          encodeResponseHead(status, endToEndFields(fields), framing) +
          payload(answer.chunks, answer.trailers, framing);
        const again = readResponse([bytes(onward)], asked);
        assert.equal(again.fault, "", onward);
        assert.equal(again.left, 0);
        assert.deepEqual(endToEndFields(again.messages[0]!.head.fields), endToEndFields(fields));
        assert.equal(again.messages[0]!.chunks.join(""), answer.chunks.join(""));
        if (!bodiless)
          assert.deepEqual(
            readCarelessly(onward, { ...reader, underscores: false }).map(({ body }) => body),
            [answer.chunks.join("")],
          );
      },
    ),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 300 && refused > 300, `${accepted} accepted, ${refused} refused: both are tried`);
});
