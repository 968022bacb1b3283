// A bundle of the policy, as the API carries it (a gzipped tar) and as the editor has it (texts by name).
import { createTarGzip, parseTarGzip } from 'nanotar';

export type Files = Record<string, string>;

export async function unpack(base64: string): Promise<Files> {
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const entries = await parseTarGzip(bytes);
  const files: Files = {};
  for (const entry of entries) if (entry.data && !entry.name.endsWith('/')) files[entry.name.replace(/^\.?\//, '')] = new TextDecoder().decode(entry.data);
  return files;
}

export async function pack(files: Files): Promise<string> {
  const packed = await createTarGzip(Object.keys(files).sort().map((name) => ({ name, data: new TextEncoder().encode(files[name]) })), { attrs: { mtime: 0 } });
  let text = '';
  for (let at = 0; at < packed.length; at += 0x8000) text += String.fromCharCode(...packed.subarray(at, at + 0x8000));
  return btoa(text);
}

export interface Difference { name: string; kind: 'added' | 'removed' | 'changed'; before: string; after: string }

/** What is other in b than in a. Tests come last: who looks for an effect looks at rules and figures. */
export function differences(a: Files, b: Files): Difference[] {
  const rank = (name: string) => (name.includes('_test') || name.includes('scenario') ? 1 : 0);
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((name) => a[name] !== b[name])
    .sort((x, y) => rank(x) - rank(y) || x.localeCompare(y))
    .map((name) => ({ name, kind: a[name] === undefined ? 'added' : b[name] === undefined ? 'removed' : 'changed', before: a[name] ?? '', after: b[name] ?? '' }));
}
