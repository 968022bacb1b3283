// Builds the page into what the gateway embeds. The same sources give the same bytes, under names that do not change: `vite build --outDir <directory>` writes elsewhere, to compare.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';

export default defineConfig({
  root: fileURLToPath(new URL('src', import.meta.url)),
  base: '/app/',
  publicDir: 'public',
  esbuild: { jsx: 'automatic', jsxImportSource: 'preact', legalComments: 'none' },
  build: {
    outDir: fileURLToPath(new URL('../services/gateway/internal/page/app', import.meta.url)),
    emptyOutDir: true,
    assetsDir: '',
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    modulePreload: false,
    target: ['chrome109', 'firefox115', 'safari16'],
    rollupOptions: { output: { entryFileNames: 'main.js', assetFileNames: 'main[extname]' } },
  },
});
