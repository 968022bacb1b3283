import type { ErrorBody, FieldError, Signals } from './types';

/** A call that failed, with what the error envelope says. */
export class CallError extends Error {
  constructor(
    readonly status: number, // 0: the server could not be reached
    readonly type: string,
    message: string,
    readonly fields: FieldError[] = [],
    readonly requestID = '',
    readonly signals?: Signals, // what to tell the credential manager
  ) {
    super(message);
  }
}

/** Who a call is known by: the session, the process under way, a link into a process that was begun elsewhere, or nobody. */
type Known = 'session' | 'process' | 'guest' | 'nobody';

/** The project that the server told the page to work in; without one, the host says it. */
const project = document.querySelector<HTMLMetaElement>('meta[name="keyward-project"]')?.content;

/** Calls the Frontend API of the server that the page came from. */
export class Api {
  process = '';
  guest = '';
  session = '';
  refreshToken = '';
  /** Gets a new session token when the one there was is refused, and says whether there is one. */
  expired: () => Promise<boolean> = async () => false;

  /** @param decided is told the ID of each decision that an answer came of. */
  constructor(private readonly decided: (id: string) => void) {}

  get<T>(path: string, known: Known): Promise<T> {
    return this.try<T>('GET', path, undefined, known);
  }

  post<T>(path: string, body: unknown, known: Known): Promise<T> {
    return this.try<T>('POST', path, body, known);
  }

  delete<T>(path: string): Promise<T> {
    return this.try<T>('DELETE', path, undefined, 'session');
  }

  /** Spends the refresh token: that of its cookie, unless the project gives refresh tokens to scripts. */
  refresh<T>(): Promise<T> {
    return this.call<T>('POST', '/me/refresh', undefined, 'session', this.refreshToken);
  }

  private async try<T>(method: string, path: string, body: unknown, known: Known): Promise<T> {
    try {
      return await this.call<T>(method, path, body, known, this.session);
    } catch (failed) {
      const again = known === 'session' && failed instanceof CallError && failed.status === 401 && (await this.expired());
      if (!again) throw failed;
      return this.call<T>(method, path, body, known, this.session);
    }
  }

  private async call<T>(method: string, path: string, body: unknown, known: Known, bearer: string): Promise<T> {
    const headers: Record<string, string> = {};
    if (project) headers['X-Corbado-ProjectID'] = project;
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    if (known === 'process') headers['X-Corbado-Process-ID'] = this.process;
    if (known === 'guest') headers['X-Corbado-Temp-Process-ID'] = this.guest;
    if (known === 'session' && bearer) headers['Authorization'] = 'Bearer ' + bearer;
    const answer = await this.fetch('/v2' + path, { method, headers, body: body === undefined ? null : JSON.stringify(body), cache: 'no-store' });
    const decision = answer.headers.get('X-Keyward-Decision-ID');
    if (decision) this.decided(decision);
    const text = await answer.text();
    if (answer.ok) return (text ? JSON.parse(text) : undefined) as T;
    throw failure(answer, text);
  }

  private async fetch(url: string, init: RequestInit): Promise<Response> {
    try {
      return await fetch(url, init);
    } catch {
      throw new CallError(0, 'unreachable', 'Keyward cannot be reached. Is it still running?');
    }
  }
}

function failure(answer: Response, text: string): CallError {
  let body: ErrorBody = {};
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    // Not Keyward's own answer: something between it and the browser.
  }
  const type = body.error?.type ?? 'unknown';
  const fields = body.error?.validation ?? [];
  return new CallError(answer.status, type, sentence(answer, body, type), fields, body.requestData?.requestID, body.data?.signals);
}

/** sentence says what went wrong in words for a person. */
function sentence(answer: Response, body: ErrorBody, type: string): string {
  if (answer.status === 429) {
    const seconds = answer.headers.get('Retry-After');
    return seconds ? `Too many attempts. Try again in ${seconds} seconds.` : 'Too many attempts. Try again in a moment.';
  }
  if (type === 'process_not_available') return 'This sign-in has been open for too long. It begins again now.';
  if (type === 'invalid_origin') return `The project does not list ${location.origin} as one of its origins.`;
  const field = body.error?.validation?.[0];
  return body.error?.details || (field && `${field.field}: ${field.message}`) || body.message || `The server answered ${answer.status}.`;
}
