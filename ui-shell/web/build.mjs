// Bundles the chrome into the folder that is given: index.html, style.css, chrome.js and chrome.css.
import { copyFile, mkdir, readFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import esbuild from "esbuild";
import { compile, compileModule } from "svelte/compiler";

const web = dirname(fileURLToPath(import.meta.url));
const out = process.argv[2] ?? join(web, "dist");

/** Compiles components. Their styles go to chrome.css: the chrome's policy allows no inline style. */
const svelte = {
  name: "svelte",
  setup(build) {
    const styles = new Map();
    build.onLoad({ filter: /\.svelte$/, namespace: "file" }, async ({ path }) => {
      const source = await readFile(path, "utf8");
      const { js, css, warnings } = compile(source, { filename: relative(web, path), css: "external", generate: "client" });
      if (css?.code) styles.set(path, css.code);
      const contents = css?.code ? `${js.code}\nimport ${JSON.stringify(`styles:${path}`)};` : js.code;
      return { contents, loader: "js", resolveDir: dirname(path), errors: warnings.map(({ message, filename, start }) => ({
        text: message, location: { file: filename, line: start?.line ?? 0, column: start?.column ?? 0 },
      })) };
    });
    build.onLoad({ filter: /\.svelte\.ts$/ }, async ({ path }) => {
      const { code } = await esbuild.transform(await readFile(path, "utf8"), { loader: "ts" });
      return { contents: compileModule(code, { filename: relative(web, path), generate: "client" }).js.code, loader: "js" };
    });
    build.onResolve({ filter: /^styles:/ }, ({ path }) => ({ path: path.slice("styles:".length), namespace: "styles" }));
    build.onLoad({ filter: /.*/, namespace: "styles" }, ({ path }) => ({ contents: styles.get(path), loader: "css", resolveDir: dirname(path) }));
  },
};

await mkdir(out, { recursive: true });
await esbuild.build({
  entryPoints: { chrome: join(web, "src/main.js") },
  outdir: out,
  bundle: true,
  format: "esm",
  target: ["safari17", "chrome120"],
  conditions: ["svelte", "browser", "production"],
  mainFields: ["svelte", "browser", "module", "main"],
  define: { "process.env.NODE_ENV": '"production"' },
  minifySyntax: true,
  legalComments: "inline",
  plugins: [svelte],
  logLevel: "warning",
});
for (const file of ["index.html", "style.css"]) await copyFile(join(web, file), join(out, file));
