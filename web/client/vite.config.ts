import { defineConfig } from "vite";

// Served by the API under this path, with a content security policy that allows no inline script and nothing from
// elsewhere: so no file is inlined as a data: address. hls.js is a part of its own, fetched only where it is needed.
export default defineConfig({
  base: "/static/client/",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../../api/static/client",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    manifest: "manifest.json",
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
    target: "es2022",
    rollupOptions: {
      input: { client: "index.html", offline: "offline.html", worker: "src/worker.ts" },
      output: {
        entryFileNames: (part) => (part.name === "worker" ? "worker.js" : "assets/[name]-[hash].js"),
      },
    },
  },
  server: {
    proxy: Object.fromEntries(
      ["/graphql", "/media", "/notifications", "/avatars", "/account"].map((path) => [
        path,
        { target: "http://127.0.0.1:8000", ws: path === "/graphql" },
      ]),
    ),
  },
});
