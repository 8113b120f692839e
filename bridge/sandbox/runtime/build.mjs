/**
 * Bundles what the sandbox tenant serves under /qlik-embed/ into dist/.
 *
 * `auth@v1`, `invoke-fetch@v1` and `qix@v1` are the real modules of @qlik/api: in Node the package imports them from
 * its own chunks, in a browser it asks the tenant for them. The names of the chunks change with each version, so they
 * are read from the place where the package itself imports them.
 */
import { readFileSync, readdirSync, renameSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

/** What a sandbox that runs already serves stays whole until the new files are there. */
const UNFINISHED = "dist.new";
const here = path.dirname(fileURLToPath(import.meta.url));
const chunks = path.join(path.dirname(createRequire(import.meta.url).resolve("@qlik/api")), "chunks");
const OF_NODE = /if \(isNode\) return import\("(?<file>\.\/[^"]+)"\)[^\n]*\n[^\n]*importRuntimeModulePromise\)\("(?<name>[a-z-]+)@v1"/g;

/** @returns {Record<string, string>} file by name of runtime module */
function qlikModules() {
  const sources = readdirSync(chunks).filter((file) => file.endsWith(".js")).map((file) => readFileSync(path.join(chunks, file), "utf8"));
  const found = sources.flatMap((source) => [...source.matchAll(OF_NODE)].map(({ groups }) => [groups.name, path.join(chunks, groups.file)]));
  const modules = Object.fromEntries(found);
  const missing = ["auth", "invoke-fetch", "qix"].filter((name) => !modules[name]);
  if (missing.length) throw new Error(`@qlik/api does not import ${missing.join(", ")} where this build looks for it`);
  return modules;
}

const modules = qlikModules();
/** @type {esbuild.Plugin} */
const fromQlik = {
  name: "from-qlik",
  setup(build) {
    build.onResolve({ filter: /^#qlik\// }, ({ path: name }) => ({ path: modules[name.slice("#qlik/".length)] }));
    // Only Node asks for these: a websocket client, and a recorder of requests.
    build.onResolve({ filter: /^(ws|fs)$/ }, ({ path: name }) => ({ path: name, namespace: "absent" }));
    build.onLoad({ filter: /.*/, namespace: "absent" }, () => ({ contents: "export default {}; export const writeFileSync = undefined;" }));
  },
};

/** @type {esbuild.BuildOptions} */
const common = {
  absWorkingDir: here,
  outdir: UNFINISHED,
  bundle: true,
  minify: true,
  legalComments: "linked",
  platform: "browser",
  target: "es2022",
  define: { "process.env.NODE_ENV": '"production"' },
  logLevel: "warning",
  plugins: [fromQlik],
  // Its main file asks at run time whether to be the development build.
  alias: { "@nebula.js/stardust": "@nebula.js/stardust/dist/stardust.js" },
};
rmSync(path.join(here, UNFINISHED), { recursive: true, force: true });
await esbuild.build({ ...common, entryPoints: { main: "src/main.js" }, format: "iife" });
await esbuild.build({ ...common, entryPoints: { nebula: "src/nebula.js" }, format: "esm", splitting: true });
rmSync(path.join(here, "dist"), { recursive: true, force: true });
renameSync(path.join(here, UNFINISHED), path.join(here, "dist"));
