import { appendFile, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { defineConfig } from "vite";

const INTER_LICENSE = "node_modules/@fontsource-variable/inter/LICENSE";

export default defineConfig({
  // Every address in the pages is relative, so that they work below any path of a proxy.
  base: "./",
  build: {
    rolldownOptions: {
      input: ["index.html", "graphiql.html"],
      // Directives of React's servers mean nothing in a browser.
      checks: { moduleLevelDirective: false, pluginTimings: false },
    },
    // Everything is a file of its own: nothing is inline that a Content-Security-Policy would have to allow.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    license: { fileName: "licenses.md" },
    // Monaco, the editor of GraphiQL, is that large.
    chunkSizeWarningLimit: 4000,
    reportCompressedSize: false,
  },
  plugins: [compressed()],
  // `npx vite` serves the pages while they are being written, and a phipi on its usual port answers them.
  server: {
    proxy: Object.fromEntries(["/graphql", "/fib", "/schema.graphql"].map((path) => [`^${path}($|/)`, phipi()])),
  },
});

function phipi() {
  return { target: "http://127.0.0.1:8000", ws: true };
}

/** Leaves every file in its two compressed forms alone, and lists them for the program that embeds them. */
function compressed() {
  return {
    name: "compressed",
    async writeBundle({ dir }, bundle) {
      // What is bundled as a style is not among the licences that vite collects.
      await appendFile(join(dir, "licenses.md"), `\n## Inter\n\n${await readFile(INTER_LICENSE, "utf8")}`);
      const names = Object.keys(bundle).filter((name) => name !== "licenses.md").sort();
      for (const name of names) {
        const plain = await readFile(join(dir, name));
        // The defaults of node: quality 11, and a window that all browsers take.
        await writeFile(join(dir, `${name}.br`), brotliCompressSync(plain));
        // Browsers offer Brotli over TLS and to localhost alone: from another machine over plain HTTP they take this.
        await writeFile(join(dir, `${name}.gz`), gzipSync(plain, { level: 9 }));
        await rm(join(dir, name));
      }
      const bytes = (name) => `include_bytes!("${name}")`;
      const entries = names.map((name) => `    File::new("${name}", ${bytes(`${name}.br`)}, ${bytes(`${name}.gz`)}),\n`);
      await writeFile(join(dir, "list.rs"), `[\n${entries.join("")}]\n`);
    },
  };
}
