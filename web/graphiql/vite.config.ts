import { defineConfig } from "vite";

// Served by the API under this path, with a content security policy that allows no inline script and nothing from
// elsewhere: so no file is inlined as a data: address (fonts in GraphiQL's own style sheet are), and workers are files.
export default defineConfig({
  base: "/static/graphiql/",
  build: {
    outDir: "../../api/static/graphiql",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 6000,
    reportCompressedSize: false,
  },
  worker: { format: "es" },
});
