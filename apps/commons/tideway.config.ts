/** Commons behind Tideway: what `npm start` runs. Every value can be read in the contract of the configuration. */
import { defineConfig } from "tideway";

/** Relative to this file, which is also where the instances run. */
const data = process.env["TIDEWAY_DATA"] ?? "./data";

export default defineConfig({
  listen: [{ host: "127.0.0.1", port: Number(process.env["PORT"] ?? 7777) }],
  data,
  services: {
    web: {
      command: "node server/main.ts",
      instances: 2,
      health: { path: "/healthz" },
      // Compiled code is kept beside the data: an instance starts in two thirds of the time.
      env: { COMMONS_DATA: process.env["COMMONS_DATA"] ?? data, NODE_COMPILE_CACHE: `${data}/compiled` },
    },
    page: { files: "./web/dist", fallback: "index.html", immutable: "/assets/" },
    live: { realtime: { path: "/socket.io", service: "web" } },
  },
  sites: {
    "www.commons.test": { "/": "page", "/api": "web", "/socket.io": "live" },
    "*": { "/": "page", "/api": "web", "/socket.io": "live" },
  },
  console: { port: Number(process.env["TIDEWAY_CONSOLE_PORT"] ?? 7770) },
  names: {
    listen: { host: "127.0.0.1", port: Number(process.env["TIDEWAY_NAMES_PORT"] ?? 7753) },
    zones: { "commons.test": {} },
  },
});
