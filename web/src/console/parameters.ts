// The figures of a bundle, with what they mean and may be, as its schema says.
import { applyEdits, modify, parse } from 'jsonc-parser';
import type { Files } from './bundle';

export interface Parameter {
  path: string[]; // below keyward.parameters
  name: string;
  meaning: string;
  kind: 'number' | 'boolean' | 'text' | 'other';
  choices?: string[];
  least?: number;
  most?: number;
  value: unknown;
  seconds: boolean;
}

interface Schema {
  type?: string | string[]; description?: string; title?: string; properties?: Record<string, Schema>; enum?: unknown[]; minimum?: number; maximum?: number; $ref?: string; $defs?: Record<string, Schema>;
  'x-if-false'?: string;
}

const dataFile = 'data.json';
const schemaFile = 'schemas/parameters.jsonschema';

export function parametersOf(files: Files): Parameter[] {
  const text = files[schemaFile];
  if (!text) return [];
  const schema = parse(text) as Schema;
  const data = (parse(files[dataFile] ?? '{}') as { keyward?: { parameters?: unknown } }).keyward?.parameters;
  const all: Parameter[] = [];
  walk(schema, schema, data, [], all);
  return all;
}

function walk(root: Schema, schema: Schema, value: unknown, path: string[], all: Parameter[]): void {
  const of = resolve(root, schema);
  for (const [name, child] of Object.entries(of.properties ?? {})) {
    const own = resolve(root, child);
    const at = [...path, name];
    const held = (value as Record<string, unknown> | undefined)?.[name];
    if (own.properties && typeof held === 'object' && !Array.isArray(held)) {
      walk(root, own, held, at, all);
      continue;
    }
    const type = Array.isArray(own.type) ? own.type[0] : own.type;
    all.push({
      path: at, name: at.join('.'), meaning: child.description ?? own.description ?? '', value: held, seconds: name.endsWith('Seconds'),
      kind: type === 'integer' || type === 'number' ? 'number' : type === 'boolean' ? 'boolean' : type === 'string' ? 'text' : 'other',
      ...(own.enum && { choices: own.enum.map(String) }), ...(own.minimum !== undefined && { least: own.minimum }), ...(own.maximum !== undefined && { most: own.maximum }),
    });
  }
}

function resolve(root: Schema, schema: Schema): Schema {
  const name = schema.$ref?.replace('#/$defs/', '');
  return name ? { ...root.$defs?.[name], ...schema } : schema;
}

/** The bundle with another value of a parameter. Nothing else of the file changes. */
export function withParameter(files: Files, path: string[], value: unknown): Files {
  const text = files[dataFile] ?? '{}';
  const edits = modify(text, ['keyward', 'parameters', ...path], value, { formattingOptions: { insertSpaces: !/\n\t/.test(text), tabSize: /\n {4}\S/.test(text) ? 4 : 2 } });
  return { ...files, [dataFile]: applyEdits(text, edits) };
}

/** Every fact that a schema of the bundle declares, by its path below input. */
export function factsOf(files: Files): { path: string; title: string }[] {
  const found = new Map<string, string>();
  for (const [name, text] of Object.entries(files)) {
    if (!/^schemas\/(login|append|mediation|rollout|risk)\.jsonschema$/.test(name)) continue;
    const schema = parse(text) as Schema;
    collect(schema, schema, '', found, 0);
  }
  return [...found].sort(([a], [b]) => a.localeCompare(b)).map(([path, title]) => ({ path, title }));
}

function collect(root: Schema, schema: Schema, path: string, found: Map<string, string>, depth: number): void {
  const of = resolve(root, schema);
  for (const [name, child] of Object.entries(of.properties ?? {})) {
    const at = path ? `${path}.${name}` : name;
    if (!found.has(at)) found.set(at, child.description ?? child.title ?? '');
    if (depth < 6) collect(root, child, at, found, depth + 1);
  }
}

/** So many seconds, as people say it. */
export function inWords(seconds: number): string {
  for (const [unit, size] of [['d', 86_400], ['h', 3600], ['min', 60]] as const) if (seconds >= size && seconds % size === 0) return `${seconds / size} ${unit}`;
  return `${seconds} s`;
}
