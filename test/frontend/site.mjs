// The customer's website: pages with an SDK, and a backend of theirs that hands out connect tokens. It is reached by several names, of which Keyward knows one.
import { createServer } from 'node:https';
import { build } from 'esbuild';
import { connectToken } from './backend.mjs';
import { apiSuffix, pageOrigin, project, tls } from './settings.mjs';

const entries = { complete: 'pages/complete.mjs', connect: 'pages/connect.jsx' };

const html = (name) => `<!doctype html><html lang="en"><title>Shop</title><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><link rel="stylesheet" href="/${name}.css">
<style>body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 0 1rem } pre { background: #f3f3f3; padding: 1rem; overflow: auto }</style>
<div id="root"></div><script>window.settings = ${JSON.stringify({ project, apiSuffix })}</script><script src="/${name}.js"></script></html>`;

async function bundle() {
  const made = await build({
    entryPoints: entries, bundle: true, format: 'iife', write: false, outdir: 'out', logLevel: 'error', loader: { '.svg': 'dataurl' },
    // What the SDKs' own builds put in.
    define: { 'process.env.NODE_ENV': '"production"', 'process.env.FE_LIBRARY_VERSION': '"suite"' },
  });
  return Object.fromEntries(made.outputFiles.map((file) => [file.path.replace(/^.*\/out/, ''), file.text]));
}

const types = { js: 'text/javascript', css: 'text/css', html: 'text/html; charset=utf-8', json: 'application/json' };

// Whoever is logged in at the shop by other means has a cookie that says so; a shop of its own would sign it.
const shopper = (request) => decodeURIComponent(/(?:^|; )shopper=([^;]+)/.exec(request.headers.cookie ?? '')?.[1] ?? '');

async function answer(files, request) {
  const path = new URL(request.url, pageOrigin).pathname;
  if (path.startsWith('/token/')) {
    const who = shopper(request);
    if (!who) return [401, 'json', '{}'];
    return [200, 'json', JSON.stringify({ token: await connectToken(path.slice('/token/'.length), who) })];
  }
  if (files[path]) return [200, path.endsWith('.css') ? 'css' : 'js', files[path]];
  if (path.endsWith('.css')) return [200, 'css', ''];
  const name = path.slice(1) in entries ? path.slice(1) : '';
  return [200, 'html', name ? html(name) : '<!doctype html><title>Page</title><h1>A page</h1>'];
}

/** Opens the website, and resolves to how to close it. */
export async function openSite() {
  const files = await bundle();
  const server = createServer(tls, (request, response) => {
    answer(files, request).then(([status, type, body]) => {
      response.writeHead(status, { 'content-type': types[type], 'cache-control': 'no-store' }).end(body);
    }, (error) => response.writeHead(500).end(String(error)));
  });
  await new Promise((resolve) => server.listen(Number(new URL(pageOrigin).port), '127.0.0.1', resolve));
  return () => { server.closeAllConnections(); server.close(); };
}
