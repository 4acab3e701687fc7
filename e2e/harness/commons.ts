/**
 * Commons behind Tideway for a test: a configuration of its own (ports, data) around the real application and page, and
 * a client for its API.
 */
import { request as httpRequest } from "node:http";
import { join } from "node:path";
import { repository, writeConfiguration } from "./tideway.ts";

export interface CommonsPorts {
  readonly site?: number;
  readonly names?: number;
  /** Left out: no console. */
  readonly console?: number;
}

/** Writes a configuration for Commons with its data in `folder`; every port is free unless named. */
export function commonsConfiguration(folder: string, ports: CommonsPorts = {}): string {
  const commons = join(repository, "apps/commons");
  const source = {
    listen: [{ host: "127.0.0.1", port: ports.site ?? 0 }],
    data: join(folder, "data"),
    console: ports.console === undefined ? false : { port: ports.console },
    services: {
      web: {
        command: "node server/main.ts",
        cwd: commons,
        instances: 2,
        health: { path: "/healthz", everyMs: 500 },
        env: { COMMONS_DATA: join(folder, "data") },
      },
      page: { files: join(commons, "web/dist"), fallback: "index.html" },
      live: { realtime: { service: "web" } },
    },
    sites: {
      "www.commons.test": { "/": "page", "/api": "web", "/socket.io": "live" },
      "*": { "/": "page", "/api": "web", "/socket.io": "live" },
    },
    names: { listen: { port: ports.names ?? 0 }, zones: { "commons.test": {} } },
  };
  return writeConfiguration(folder, JSON.stringify(source, null, 2));
}

export interface PostOnWire {
  readonly id: string;
  readonly body: string;
  readonly version: number;
}

export interface ApiAnswer {
  readonly status: number;
  readonly body: { readonly post?: PostOnWire; readonly posts?: PostOnWire[]; readonly next?: string | null };
}

/** One person's session with the API, over connections that are not kept: each call stands alone. */
export class CommonsClient {
  readonly #url: string;
  #cookie = "";

  constructor(url: string) {
    this.#url = url;
  }

  async signUp(name: string): Promise<void> {
    const { status } = await this.call("POST", "/api/accounts", { name, password: `secret of ${name}` });
    if (status !== 201) throw new Error(`signing up was answered ${status}`);
  }

  /** Rejects when the line breaks before a whole answer. */
  call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}): Promise<ApiAnswer> {
    return new Promise((done, failed) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const all = {
        ...headers,
        cookie: this.#cookie,
        ...(text === undefined ? {} : { "content-type": "application/json" }),
      };
      const asked = httpRequest(new URL(path, this.#url), { method, headers: all, agent: false }, (answer) => {
        const pieces: Buffer[] = [];
        answer.on("data", (piece: Buffer) => pieces.push(piece));
        answer.on("error", failed);
        answer.on("end", () => {
          const given = answer.headers["set-cookie"]?.[0]?.split(";", 1)[0];
          if (given !== undefined) this.#cookie = given;
          const received = Buffer.concat(pieces).toString();
          const json = (answer.headers["content-type"] ?? "").includes("json");
          done({ status: answer.statusCode!, body: json ? (JSON.parse(received) as ApiAnswer["body"]) : {} });
        });
      });
      asked.on("error", failed);
      asked.end(text);
    });
  }

  /** Every post, from the newest to the oldest. */
  async everyPost(): Promise<PostOnWire[]> {
    const posts: PostOnWire[] = [];
    let cursor: string | null = null;
    do {
      const path: string = cursor === null ? "/api/posts?limit=100" : `/api/posts?limit=100&cursor=${cursor}`;
      const { status, body } = await this.call("GET", path);
      if (status !== 200) throw new Error(`the list was answered ${status}`);
      posts.push(...body.posts!);
      cursor = body.next ?? null;
    } while (cursor !== null);
    return posts;
  }
}
