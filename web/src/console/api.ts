// The Operator API, which is the console's only source: every call by the client that its contract is read for, and what went wrong in words.
import createClient from 'openapi-fetch';
import { create, get } from '../trying/webauthn';
import { createParser } from 'eventsource-parser';
import type { components, paths } from './operator.gen';

export type Schemas = components['schemas'];

/** What a call that failed says. Status 0: there was no answer. */
export class Problem extends Error {
  constructor(readonly status: number, message: string, readonly fields: { field: string; message: string }[] = [], readonly requestID = '') {
    super(message);
  }
}

let lost: (why: string) => void = () => {};

/** Calls back when the server takes the session no more. */
export function onLost(tell: (why: string) => void): void { lost = tell; }

const patience = 45_000; // of a call, in ms; the server gives up before

export const client = createClient<paths>({
  baseUrl: '/operator/v1',
  fetch: async (request: Request) => {
    const headers = new Headers(request.headers);
    headers.set('X-Keyward-Console', '1'); // the session is a cookie; no page of another site can say this
    return fetch(new Request(request, { headers, signal: AbortSignal.any([request.signal, AbortSignal.timeout(patience)]) }));
  },
});

interface Outcome<T> { data?: T | undefined; error?: unknown; response: Response }

/** Signs in with a token, which nothing keeps: from then on the browser has a cookie that no script reads. */
export async function enter(token: string): Promise<Schemas['Operator']> {
  await answer(client.POST('/session', { headers: { Authorization: `Bearer ${token}` } }));
  return entered();
}

/** Signs in with a passkey, whosever the authenticator finds. */
export async function enterWithPasskey(): Promise<Schemas['Operator']> {
  const { options } = await answer(client.POST('/session/passkey/options'));
  const given = await ceremony(get(options, new AbortController().signal), 'No passkey was used: the dialog was closed, or this device has none for this console.');
  await answer(client.POST('/session/passkey', { body: { answer: given } }));
  return entered();
}

/** Adds a passkey of whoever is signed in. */
export async function addPasskey(name: string): Promise<Schemas['OperatorPasskey']> {
  const { options } = await answer(client.POST('/operators/me/passkeys/options'));
  const made = await ceremony(create(options), 'No passkey was made: the dialog was closed, or this device has one already.');
  return answer(client.POST('/operators/me/passkeys', { body: { name, answer: made } }));
}

/** What the browser refuses of a ceremony, in words: its own say nothing. */
async function ceremony(done: Promise<string>, otherwise: string): Promise<string> {
  try {
    return await done;
  } catch (failed) {
    const name = (failed as Error).name;
    throw new Problem(0, name === 'SecurityError' ? 'The browser takes no passkeys here: the console is to be opened at console_url.' : otherwise);
  }
}

async function entered(): Promise<Schemas['Operator']> {
  try {
    return await answer(client.GET('/me'));
  } catch (failed) {
    if (failed instanceof Problem && failed.status === 401) throw new Problem(401, 'The browser did not keep the session. The console is to be opened by https, or at localhost.');
    throw failed;
  }
}

/** Resolves to what a call answered, and rejects with a Problem. */
export async function answer<T>(call: Promise<Outcome<T>>): Promise<T> {
  let outcome: Outcome<T>;
  try {
    outcome = await call;
  } catch (failed) {
    throw unanswered(failed);
  }
  if (outcome.response.ok) return outcome.data as T;
  throw problem(outcome.response.status, outcome.error);
}

function unanswered(failed: unknown): Error {
  const name = (failed as Error).name;
  if (name === 'AbortError') return failed as Error;
  return new Problem(0, name === 'TimeoutError' ? 'Keyward did not answer in time.' : 'Keyward does not answer. Is it running, and can this browser reach it?');
}

function problem(status: number, body: unknown): Problem {
  const error = body as Partial<Schemas['ErrorRsp']> | undefined;
  const fields = (error?.error?.validation ?? []).map(({ field, message }) => ({ field, message }));
  const words = error?.error?.details || fields.map(({ field, message }) => `${field}: ${message}`).join('\n') || error?.message || `The server answered ${status}.`;
  if (status === 401) lost(words);
  return new Problem(status, words, fields, error?.requestData?.requestID ?? '');
}

export type Filter = Record<string, string>;

/** Filters as the API writes them; those without a value are left out. */
export function filters(of: Filter): string[] {
  return Object.entries(of).filter(([, value]) => value !== '').map(([field, value]) => {
    if (field === 'since') return `created:gt:${value}`;
    if (field === 'until') return `created:lt:${value}`;
    return `${field}:eq:${value}`;
  });
}

/** Reads a stream of server-sent events until the signal says to end it. Resolves when the server ends it. */
export async function follow(path: string, signal: AbortSignal, heard: (event: string, data: string, id: string) => void, lastID = '', begun = (): void => {}): Promise<void> {
  const response = await fetch('/operator/v1' + path, {
    signal, headers: { Accept: 'text/event-stream', ...(lastID && { 'Last-Event-ID': lastID }) },
  }).catch((failed: unknown) => { throw unanswered(failed); });
  if (!response.ok || !response.body) throw problem(response.status, await response.json().catch(() => undefined));
  begun();
  const parser = createParser({ onEvent: (event) => heard(event.event ?? 'message', event.data, event.id ?? '') });
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  const next = () => reader.read().catch((failed: unknown) => { throw unanswered(failed); });
  for (let read = await next(); !read.done; read = await next()) parser.feed(read.value);
}
