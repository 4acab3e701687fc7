/**
 * What the name server's tests share: zones, a running server, and questions by UDP and TCP. The hooks register themselves
 * with the importing test file.
 */
import assert from "node:assert/strict";
import dgram from "node:dgram";
import { once } from "node:events";
import net from "node:net";
import { after, before } from "node:test";
import { silentLogger } from "@tideway/base";
import { FakeClock } from "@tideway/base/testing";
import { createZones, type Zones } from "@tideway/engine/zones";
import packet from "dns-packet";
import { createNameServer, type NameServer } from "./index.ts";

const built = createZones({
  sites: ["www.abc.test"],
  addresses: ["127.0.0.1", "::1"],
  zones: {
    "abc.test": {
      big: { TXT: Array.from({ length: 12 }, (_, i) => `${i} ${"x".repeat(200)}`) },
      "@": { MX: "10 mail", CAA: "0 issue ca.test", TXT: "hello" },
      mail: { A: "192.0.2.1" },
      alias: { CNAME: "www" },
      "_sip._tcp": { SRV: "0 5 5060 mail" },
    },
  },
  serial: 1,
});
assert.ok("zones" in built);
export const zones: Zones = built.zones;
export const clock = new FakeClock();
let server: NameServer;
export let port = 0;

before(async () => {
  server = createNameServer({ host: "127.0.0.1", port: 0, answer: zones.answer, clock, logger: silentLogger });
  port = (await server.listen()).port;
});
after(() => server.close());

export const QUESTION = { type: "query", id: 0x1234, flags: 0x100 };
export function question(name: string, type = "A", more: object = {}): Buffer {
  return packet.encode({ ...QUESTION, questions: [{ name, type, class: "IN" }], ...more });
}
export const opt = (udpPayloadSize: number, more: object = {}) => ({
  additionals: [{ name: ".", type: "OPT", udpPayloadSize, ...more }],
});

/** Sends over UDP and gives the first answer. */
export async function overUdp(message: Buffer, to = port): Promise<Buffer> {
  const socket = dgram.createSocket("udp4");
  try {
    socket.send(message, to, "127.0.0.1");
    const [answer] = await once(socket, "message");
    return answer;
  } finally {
    socket.close();
  }
}

/** Writes the pieces over TCP and gives as many answers as asked for. */
export async function overTcp(pieces: Buffer[], count: number): Promise<Buffer[]> {
  const socket = net.connect(port, "127.0.0.1");
  const answers: Buffer[] = [];
  let pending = Buffer.alloc(0);
  for (const piece of pieces) {
    await new Promise((resolve) => socket.write(piece, resolve));
    await new Promise(setImmediate);
  }
  for await (const chunk of socket) {
    pending = Buffer.concat([pending, chunk as Buffer]);
    while (pending.length >= 2 && pending.length >= pending.readUInt16BE(0) + 2) {
      answers.push(pending.subarray(2, pending.readUInt16BE(0) + 2));
      pending = pending.subarray(pending.readUInt16BE(0) + 2);
    }
    if (answers.length >= count) break;
  }
  socket.destroy();
  return answers;
}
export function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(2);
  prefix.writeUInt16BE(message.length);
  return Buffer.concat([prefix, message]);
}
