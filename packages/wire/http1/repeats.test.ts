/** What a decoder remembers of the last heads changes nothing of what it tells: it tells what a new one would. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type FieldList, limits, type Memo, type RequestHead } from "@tideway/base";
import fc from "fast-check";
import {
  encodeFieldLines,
  encodeResponseHead,
  Framing,
  RequestDecoder,
  ResponseDecoder,
  type ResponseHead,
  writeOnce,
  writtenOnce,
} from "./index.ts";
import { bytes, cutAt, type ResponseCase, requestTrail, type Trail } from "./testing.ts";

const firstLines = [
  ...["GET / HTTP/1.1", "GET /a HTTP/1.1", "GET /a HTTP/1.0", "GET /b/../%61?q=%2f HTTP/1.1", "HEAD / HTTP/1.1"],
  ...["OPTIONS * HTTP/1.1", "GET http://b.test/x HTTP/1.1", "GET http://b.test HTTP/1.1", "POST / HTTP/1.1"],
  ...["CONNECT a.test:80 HTTP/1.1", "GET * HTTP/1.1", "GET /%0 HTTP/1.1", "GET /\\ HTTP/1.1", "GET / HTTP/2.0"],
];
const fieldLines = [
  ...["Host: a.test", "Host: A.test:80", "host: a.test", "Host:", "Accept: */*", "Accept: */* ", "Connection: close"],
  ...["Connection: keep-alive", "Connection: Upgrade", "Upgrade: websocket", "Expect: 100-continue", "X_Y: 1"],
  ...["Content-Length: 3", "Content-Length: 03", "Transfer-Encoding: chunked", "Transfer-Encoding:  chunked", "A : 1"],
];

/** A head of these lines, and the body that it announces. */
function message(lines: readonly string[]): string {
  const text = lines.join("\n").toLowerCase();
  const body = text.includes("chunked") ? "3\r\nabc\r\n0\r\n\r\n" : text.includes("content-length") ? "abc" : "";
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

const host = fc.constantFrom(...fieldLines.slice(0, 3));
const requestHead = fc.tuple(
  fc.array(fc.constantFrom(...firstLines), { minLength: 1, maxLength: 4 }),
  fc.array(fc.constantFrom(...fieldLines), { maxLength: 4 }),
  fc.option(host),
  fc.integer({ min: 1, max: 5 }),
);
/** Each of a few lists of fields comes several times in a row, with first lines that change. */
const requests = fc
  .array(requestHead, { minLength: 1, maxLength: 4 })
  .map((heads) =>
    heads.flatMap(([lines, fields, host, times]) =>
      Array.from({ length: times }, (_, i) =>
        message([lines[i % lines.length]!, ...(host === null ? [] : [host]), ...fields]),
      ),
    ),
  );
const places = fc.array(fc.nat(600), { maxLength: 6 });

test("requests: one decoder tells of many messages what a new one tells of each, however they are cut", () => {
  let repeated = 0;
  fc.assert(
    fc.property(requests, places, fc.boolean(), (messages, cuts, together) => {
      const expected: Trail = [];
      const told: Buffer[] = [];
      for (const text of messages) {
        const trail = requestTrail([bytes(text)]);
        expected.push(...trail);
        told.push(bytes(text));
        if (trail.some((line) => line.startsWith("fault"))) break;
      }
      if (told.length > 3) repeated++;
      const whole = Buffer.concat(told);
      const pieces = together ? cutAt(whole, cuts) : told.flatMap((one) => cutAt(one, cuts.slice(0, 1)));
      assert.deepEqual(requestTrail(pieces), expected);
    }),
    { numRuns: 2000 },
  );
  assert.ok(repeated > 100, `only ${repeated} runs had something to remember`);
});

test("within a head that has begun, bytes that look like a remembered one are the rest of it", () => {
  const text = get("/");
  const begun = bytes("GET /x HTTP/1.1\r\nX: ");
  assert.deepEqual(requestTrail([bytes(text), bytes(text), bytes(text), begun, bytes(text)]).slice(6), [
    'head GET /x a.test a.test 11 0 ["x","GET / HTTP/1.1","host","a.test"]',
    "end []",
  ]);
  const answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const told: string[] = [];
  const decoder = new ResponseDecoder(limits, {
    onInterim: () => {},
    onHead: (head) => told.push(head.fields.join("|")),
    onBody: () => {},
    onEnd: () => {},
    onFault: (fault) => told.push(fault.code),
  });
  for (let i = 0; i < 3; i++) {
    decoder.begin("GET");
    decoder.decode(bytes(answer), 0);
  }
  decoder.begin("GET");
  decoder.decode(bytes("HTTP/1.1 200 OK\r\nX: "), 0);
  decoder.decode(bytes(answer), 0);
  assert.deepEqual(told.slice(3), ["x|HTTP/1.1 200 OK|content-length|0"]);
});

const statusLines = [
  "HTTP/1.1 200 OK",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 X",
  "HTTP/1.0 200 OK",
  "HTTP/1.1 103 Early",
];
const answerLines = [
  ...["Content-Length: 3", "Content-Length: 0", "Transfer-Encoding: chunked", "Connection: close", "ETag: 1", "A : 1"],
  ...["Connection: keep-alive", "Date: Thu, 01 Jan 2026 00:00:00 GMT", "Date: Thu, 01 Jan 2026 00:00:01 GMT"],
];
const answers = fc
  .array(
    fc.tuple(
      fc.constantFrom(...statusLines),
      fc.array(fc.constantFrom(...answerLines), { maxLength: 3 }),
      fc.array(fc.constantFrom("GET", "HEAD"), { minLength: 1, maxLength: 5 }),
    ),
    { minLength: 1, maxLength: 4 },
  )
  .map((kinds) => kinds.flatMap(([line, fields, methods]) => methods.map((method) => ({ line, fields, method }))));

/** Bytes of the answer to a request with this method; null when it lasts until the connection ends. */
function answerBytes(lines: readonly string[], method: string): string | null {
  const bodiless = method === "HEAD" || /^HTTP\/1.1 (204|304)/.test(lines[0]!);
  const text = lines.join("\n");
  if (lines[0]!.includes(" 103 ")) return `${lines.join("\r\n")}\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n`;
  if (bodiless) return `${lines.join("\r\n")}\r\n\r\n`;
  return text.includes("Content-Length: 3") || text.includes("chunked") || text.includes("Content-Length: 0")
    ? message(lines).replace(/(Content-Length: 0[\s\S]*\r\n\r\n)abc$/, "$1")
    : null;
}

/** The trail of one decoder over answers to requests one after the other. */
function answersTrail(all: readonly { text: string; how: ResponseCase }[], cuts: readonly number[]): Trail {
  const lines: Trail = [];
  const decoder = new ResponseDecoder(limits, {
    onInterim: (status, fields) => lines.push(`interim ${status} ${JSON.stringify(fields)}`),
    onHead: ({ memo: _, ...head }) => lines.push(JSON.stringify(head)),
    onBody: (chunk) => lines.push(`body ${chunk}`),
    onEnd: (trailers) => lines.push(`end ${JSON.stringify(trailers)}`),
    onFault: (fault) => lines.push(`fault ${fault.code}`),
  });
  for (const { text, how } of all) {
    decoder.begin(how.method ?? "GET");
    for (const piece of cutAt(bytes(text), cuts)) {
      const next = decoder.decode(piece, 0);
      if (next < piece.length && decoder.phase !== "failed") lines.push("left");
      if (next < piece.length) break;
    }
  }
  // Where a body was cut does not matter.
  return lines
    .join("\n")
    .replace(/(?<=\nbody [abc]*)\nbody /g, "")
    .split("\n");
}

test("responses: one decoder tells of many answers what a new one tells of each, however they are cut", () => {
  let repeated = 0;
  fc.assert(
    fc.property(answers, places, (all, cuts) => {
      const whole = all.flatMap(({ line, fields, method }) => {
        const text = answerBytes([line, ...fields], method);
        return text === null ? [] : [{ text, how: { method } }];
      });
      const told: typeof whole = [];
      const expected: Trail = [];
      for (const one of whole) {
        const trail = answersTrail([one], []);
        told.push(one);
        expected.push(...trail);
        if (trail.some((line) => line.startsWith("fault") || line.startsWith("left"))) break;
      }
      if (told.length > 3) repeated++;
      if (told.length > 0) assert.deepEqual(answersTrail(told, cuts), expected);
    }),
    { numRuns: 2000 },
  );
  assert.ok(repeated > 100, `only ${repeated} runs had something to remember`);
});

/** The heads that one decoder tells of these requests. */
function headsOf(messages: readonly string[], forgetBefore = -1): RequestHead[] {
  const heads: RequestHead[] = [];
  const decoder = new RequestDecoder(limits, {
    onHead: (head) => heads.push(head),
    onBody: () => {},
    onEnd: () => {},
    onFault: (fault) => assert.fail(fault.code),
  });
  for (const [index, text] of messages.entries()) {
    if (index === forgetBefore) decoder.forget();
    assert.equal(decoder.decode(bytes(text), 0), text.length);
  }
  return heads;
}

const get = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: a.test\r\n${more}\r\n`;

test("what is made of fields is kept from the second head with them on, for them alone", () => {
  const other = get("/a", "X: 1\r\n");
  const heads = headsOf([get("/a"), get("/a"), get("/b"), get("/b"), other, get("/a"), get("/a")]);
  const [first, second, third, fourth, fifth, sixth, seventh] = heads as unknown as RequestHead[] & { length: 7 };
  assert.equal(first!.memo, undefined);
  assert.ok(second!.memo !== undefined);
  assert.equal(third!.memo, second!.memo);
  assert.equal(third!.fields, second!.fields);
  assert.equal(third!.path, "/b");
  assert.equal(fourth, third, "the same head is told again");
  assert.equal(fifth!.memo, undefined);
  assert.equal(sixth!.memo, undefined);
  assert.ok(seventh!.memo !== undefined && seventh!.memo !== second!.memo);
});

test("a target that names another host shares nothing that was made for its own", () => {
  const [, second, third, fourth] = headsOf([get("/"), get("/"), get("http://b.test/"), get("/")]);
  assert.equal(third!.authority, "b.test");
  assert.equal(third!.memo, undefined);
  assert.equal(fourth!.authority, "a.test");
  assert.equal(fourth!.memo, second!.memo);
});

test("what was forgotten is read anew", () => {
  const heads = headsOf([get("/"), get("/"), get("/"), get("/")], 3);
  assert.equal(heads[2], heads[1]);
  assert.notEqual(heads[3], heads[2]);
  assert.deepEqual(heads[3], { ...heads[2], memo: undefined });
});

test("long fields are not remembered", () => {
  const heads = headsOf(Array.from({ length: 4 }, () => get("/", `X: ${"y".repeat(3000)}\r\n`)));
  assert.ok(heads.every((head) => head.memo === undefined));
});

test("a head cannot be changed, so that nobody changes the next one", () => {
  const response: ResponseHead[] = [];
  const decoder = new ResponseDecoder(limits, {
    onInterim: () => {},
    onHead: (head) => response.push(head),
    onBody: () => {},
    onEnd: () => {},
    onFault: (fault) => assert.fail(fault.code),
  });
  for (let i = 0; i < 3; i++) {
    decoder.begin("GET");
    decoder.decode(bytes("HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 0\r\n\r\n"), 0);
  }
  assert.equal(response[2], response[1]);
  const heads: { fields: FieldList; memo?: Memo | undefined }[] = [...headsOf([get("/"), get("/")]), ...response];
  for (const head of heads) {
    assert.throws(() => head.fields.push("x", "y"), TypeError);
    assert.throws(() => {
      head.fields[1] = "y";
    }, TypeError);
    assert.throws(() => {
      head.fields = [];
    }, TypeError);
  }
});

test("a list that is written once says what it said before, and cannot be changed", () => {
  const fields = ["content-type", "text/plain", "etag", '"1"'];
  const lines = encodeFieldLines(fields);
  assert.equal(writtenOnce(fields), undefined);
  assert.equal(writeOnce(fields), fields);
  assert.equal(writtenOnce(fields)?.lines, lines);
  assert.equal(writtenOnce(fields)?.dated, false);
  assert.equal(encodeFieldLines(fields), lines);
  assert.throws(() => fields.push("x", "y"), TypeError);
  assert.equal(writtenOnce([...fields]), undefined, "a copy is another list");
  assert.equal(writtenOnce(writeOnce(["date", "x"]))?.dated, true);
  for (const name of ["connection", "keep-alive", "proxy-connection", "x-request-id", "content-length"])
    assert.throws(() => writeOnce(["a", "1", name, "1"]), name);
  assert.throws(() => writeOnce(["a", "1\r\nb: 2"]));
});

test("heads with a list that was written once are what they would be with any list", () => {
  const once = writeOnce(["etag", '"1"', "x", "\xe9"]);
  const head = fc.tuple(
    fc.constantFrom(200, 404, 304),
    fc.constantFrom(0, 5, Framing.chunked, Framing.none),
    fc.constantFrom("", "date: 1\r\nx-request-id: ", "date: 2\r\nx-request-id: "),
    fc.constantFrom("", "a\r\n", "b\r\nconnection: close\r\n"),
  );
  fc.assert(
    fc.property(fc.array(head, { maxLength: 8 }), (heads) => {
      for (const [status, framing, prepared, own] of heads) {
        const expected = encodeResponseHead(status, [...once], framing, prepared, own);
        assert.equal(encodeResponseHead(status, once, framing, prepared, own), expected);
      }
    }),
  );
  assert.throws(() => encodeResponseHead(99, once, 0));
  assert.throws(() => encodeResponseHead(200, once, 0.5));
});
