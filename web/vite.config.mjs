// Builds the two pages into what the gateway embeds: the one to try passkeys with, and with --mode console the console. The same sources give the same bytes, under names that do not
// change: `vite build --outDir <directory>` writes elsewhere, to compare.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const common = {
  emptyOutDir: true,
  assetsDir: '',
  assetsInlineLimit: 0,
  cssCodeSplit: false,
  modulePreload: false,
  target: ['chrome109', 'firefox115', 'safari16'],
};
const esbuild = { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' };

const trying = {
  root: here('src/trying'),
  base: '/app/',
  publicDir: 'public',
  esbuild,
  build: {
    ...common,
    outDir: here('../services/gateway/internal/page/app'),
    rollupOptions: { output: { entryFileNames: 'main.js', assetFileNames: 'main[extname]' } },
  },
};

const console = {
  root: here('src/console'),
  base: '/console/assets/',
  publicDir: false,
  esbuild,
  build: {
    ...common,
    outDir: here('../services/gateway/internal/page/console'),
    chunkSizeWarningLimit: 700,
    rollupOptions: {
      output: {
        entryFileNames: 'console.js', assetFileNames: 'console[extname]', chunkFileNames: '[name].js',
        manualChunks: (id) => (/node_modules\/(@codemirror|@lezer|style-mod|w3c-keyname|crelt|@marijn)/.test(id) ? 'editor' : id.includes('node_modules/uplot') ? 'chart' : undefined),
      },
    },
  },
};

export default defineConfig(({ mode }) => (mode === 'console' ? console : trying));
