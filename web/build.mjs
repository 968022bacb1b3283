// Builds the page into what the gateway embeds. The same sources give the same bytes: `node build.mjs <directory>` writes elsewhere, to compare.
import { build } from 'esbuild';
import { cp, mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const into = resolve(process.argv[2] ?? join(here, '../services/gateway/page/app'));

await rm(into, { recursive: true, force: true });
await mkdir(into, { recursive: true });
await build({
  absWorkingDir: here,
  entryPoints: ['src/main.tsx', 'src/main.css'],
  outdir: into,
  bundle: true,
  minify: true,
  format: 'esm',
  target: ['chrome109', 'firefox115', 'safari16'],
  jsx: 'automatic',
  jsxImportSource: 'preact',
  legalComments: 'none',
  logLevel: 'warning',
});
for (const name of ['index.html', 'icon.svg']) await cp(join(here, 'src', name), join(into, name));
