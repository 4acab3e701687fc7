/** From a name to the page with the stock tools: dig asks our name server, curl gets the page under that name. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, suite, test } from "node:test";
import { promisify } from "node:util";
import { requires } from "@tideway/scripts/requires";
import { commonsConfiguration } from "./harness/commons.ts";
import { RunningTideway, temporaryFolder } from "./harness/tideway.ts";

const run = promisify(execFile);

suite("names", { skip: requires("dig", "curl") }, () => {
  const folder = temporaryFolder("names");
  let tideway: RunningTideway;

  before(async () => {
    tideway = await RunningTideway.start(commonsConfiguration(folder.path));
  });

  after(async () => {
    await tideway?.stop();
    folder.remove();
  });

  const dig = async (...words: string[]) => {
    const port = tideway.addresses.names!.split(":").at(-1)!;
    const { stdout } = await run("dig", ["@127.0.0.1", "-p", port, "+time=2", "+tries=1", ...words]);
    return stdout;
  };

  test("dig gives the site's address, over UDP and TCP", async () => {
    for (const transport of ["+notcp", "+tcp"]) {
      assert.equal((await dig(transport, "+short", "www.commons.test")).trim(), "127.0.0.1");
    }
    assert.match(await dig("www.commons.test", "AAAA"), /status: NOERROR.*ANSWER: 0/s);
  });

  test("names that are not ours are refused, names that do not exist in our zone are denied", async () => {
    assert.match(await dig("www.example.org"), /status: REFUSED/);
    assert.match(await dig("nobody.commons.test"), /status: NXDOMAIN/);
  });

  test("curl gets the page under the name that dig resolved", async () => {
    const address = (await dig("+short", "www.commons.test")).trim();
    const { port } = tideway.addresses.listeners[0]!;
    const url = `http://www.commons.test:${port}/`;
    const { stdout } = await run("curl", [
      "-sS",
      "--fail",
      "-i",
      "--resolve",
      `www.commons.test:${port}:${address}`,
      url,
    ]);
    assert.match(stdout, /^HTTP\/1\.1 200 /);
    assert.match(stdout, /content-type: text\/html/i);
    assert.match(stdout, /<title>/);
  });
});
