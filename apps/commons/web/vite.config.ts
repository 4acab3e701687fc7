/** Builds the page into `dist`, which Tideway's file service serves. No inline scripts or styles: the page's policy forbids them. */
import { defineConfig } from "vite";

export default defineConfig({
  root: import.meta.dirname,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: { target: "es2023", assetsInlineLimit: 0, sourcemap: false, reportCompressedSize: false },
  server: {
    // `vite` beside a running `npm start`: the page from its sources, everything else through the gateway.
    proxy: {
      "/api": "http://127.0.0.1:7777",
      "/socket.io": { target: "http://127.0.0.1:7777", ws: true },
    },
  },
});
