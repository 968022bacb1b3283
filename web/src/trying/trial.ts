// What happens on the page: the process of a sign-up or login, the session after it, and what both bring about.
import { Api, CallError } from './api';
import * as client from './client';
import { faultsOf, signupField } from './fields';
import { openedLink, type Link } from './link';
import type {
  AppendStart, BlockBody, ClientEvent, Completed, IdentifierType, LoginInit, LoginSource, Me, Passkey, PasskeyAppend, PasskeyVerify, ProcessInit, ProcessResponse, Refreshed, Signals,
  VerificationMethod, VerifyIdentifier,
} from './types';
import { Watch } from './watch';
import * as webauthn from './webauthn';
import { sentence } from './words';

export type Screen =
  | { name: 'loading' }
  | { name: 'offline' }
  | { name: 'refused' }
  | { name: 'block'; body: BlockBody; failed?: Failure }
  | { name: 'link'; link: Link; opened: boolean }
  | { name: 'account'; me: Me }
  | { name: 'again'; wanted: Wanted };

/** What takes a more recent sign-in than there is: to delete a passkey, or without one to add one. */
export interface Wanted { me: Me; passkey: Passkey | undefined; had: number }

/** How a ceremony ended without a passkey, for the screen that offers to go on: refused is what the server said of its answer. */
export type Failure = 'cancelled' | 'failed' | 'refused' | 'exists';

export interface Notice { kind: 'status' | 'error'; text: string; requestID?: string }

export interface State {
  screen: Screen;
  /** The action under way; nothing else can be begun meanwhile. */
  busy: string;
  notice?: Notice;
  /** What is wrong with each field of the form, by the field's name. */
  faults: Record<string, string>;
  passkeys: Passkey[];
  sessionEnds: number;
  environment: string;
}

const refreshKey = 'keyward.refreshToken';

export class Trial {
  state: State = { screen: { name: 'loading' }, busy: '', faults: {}, passkeys: [], sessionEnds: 0, environment: '' };
  readonly watch: Watch;
  private readonly api: Api;
  private ceremony = new AbortController();
  private suggested: Promise<void> = Promise.resolve(); // ends with the suggestions in the field
  private renewal = 0;
  private renewing: Promise<boolean> | undefined;
  private wanted: Wanted | undefined; // what the sign-in under way is for
  private cancelled = 0; // dialogs of this sign-in that were closed and that nobody had pressed a button for
  private rendered: () => void = () => {};

  constructor() {
    this.api = new Api((id) => this.watch.decided(id));
    this.api.expired = () => this.renew();
    this.watch = new Watch(this.api, () => this.rendered());
  }

  /** Calls back whenever something is to be shown anew. */
  onChange(render: () => void): void {
    this.rendered = render;
  }

  /** Resumes the session that the browser still has, else begins a process. */
  start(): Promise<void> {
    return this.do('start', async () => {
      const link = openedLink();
      if (link) {
        this.state.screen = { name: 'link', link, opened: false };
        return;
      }
      this.api.refreshToken = sessionStorage.getItem(refreshKey) ?? '';
      if (await this.resumed()) return;
      await this.begin('login-init');
    });
  }

  private async resumed(): Promise<boolean> {
    if (!this.api.refreshToken && !document.cookie.includes('cbo_session_token=')) return false; // nobody was signed in here
    try {
      this.adopt(await this.api.refresh<Refreshed>());
      await this.showAccount();
      return true;
    } catch (failed) {
      if (failed instanceof CallError && failed.status >= 400 && failed.status < 500) return false;
      throw failed;
    }
  }

  // -- processes --

  private async begin(preferredBlock: 'login-init' | 'signup-init'): Promise<void> {
    await this.arrive(await this.open(preferredBlock));
  }

  /** Begins a process and returns where it stands, without showing it. */
  private async open(preferredBlock: 'login-init' | 'signup-init'): Promise<ProcessResponse> {
    const begun = await this.api.post<ProcessInit>('/auth/process/init', {
      clientInformation: await client.information(), passkeyAppendShown: client.appendShown(), preferredBlock,
    }, 'nobody');
    client.keepHandle(begun.newClientEnvHandle);
    this.api.process = begun.token;
    return begun.processResponse;
  }

  /** Changes between signing in and signing up, keeping the process. */
  prefer(block: 'login-init' | 'signup-init'): Promise<void> {
    return this.do('switch', async () => {
      const screen = this.state.screen;
      const known = screen.name === 'block' ? screen.body.alternatives?.find((b) => b.block === block) : undefined;
      if (known && screen.name === 'block') {
        const others = (screen.body.alternatives ?? []).filter((b) => b !== known);
        this.showBlock({ ...known, alternatives: [...others, { ...screen.body, alternatives: undefined }] });
        return;
      }
      await this.arrive(await this.api.get<ProcessResponse>('/auth/process?preferredBlock=' + block, 'process'));
    });
  }

  /** Begins again from the start. */
  restart(): Promise<void> {
    this.wanted = undefined;
    return this.do('restart', async () => this.arrive(await this.api.post<ProcessResponse>('/auth/process/reset', undefined, 'process')));
  }

  signUp(fullName: string | undefined, identifiers: { type: IdentifierType; identifier: string }[]): Promise<void> {
    return this.do('signup', async () => this.step('/auth/signup/init', { fullName, identifiers }), (field) => signupField(field, identifiers));
  }

  signIn(identifierValue: string): Promise<void> {
    this.cancelled = 0;
    return this.do('login', async () => {
      await this.step('/auth/login/init', { identifierValue, isPhone: false });
    }, () => 'identifier');
  }

  skip(): Promise<void> {
    return this.do('skip', async () => {
      const screen = this.state.screen;
      if (screen.name === 'block' && screen.body.block.startsWith('passkey-append')) {
        await this.report('append-explicit-abort', (screen.body.data as PasskeyAppend).challenge);
      }
      await this.step('/auth/block/skip');
    });
  }

  proceed(): Promise<void> {
    return this.do('proceed', () => this.step('/auth/process/complete'));
  }

  sendCode(identifierType: IdentifierType, verificationType: VerificationMethod): Promise<void> {
    return this.do('send', async () => {
      await this.step('/auth/identifier/verify/start', { identifierType, verificationType });
      this.say('status', verificationType === 'email-link' ? 'A link is on its way.' : 'A code is on its way.');
    });
  }

  checkCode(code: string, block: VerifyIdentifier): Promise<void> {
    const identifierType: IdentifierType = block.blockType === 'phone-verify' ? 'phone' : 'email';
    return this.do('check', () => this.step('/auth/identifier/verify/finish', { code, identifierType, verificationType: block.verificationMethod }), () => 'code');
  }

  /** Asks whether the link has been opened meanwhile. */
  async checkLink(): Promise<void> {
    if (this.state.busy) return;
    try {
      const answer = await this.api.get<ProcessResponse>('/auth/identifier/verify/status', 'process');
      if (!answer.blockBody.block.endsWith('-verify')) await this.do('link', () => this.arrive(answer));
    } catch {
      // It is asked again.
    }
  }

  /** Confirms the address that a link was sent to. The process goes on in the browser where it was begun. */
  confirmLink(link: Link): Promise<void> {
    return this.do('link', async () => {
      this.api.guest = link.process;
      const finish = { code: link.token, identifierType: 'email', verificationType: 'email-link' };
      const { blockBody } = await this.api.post<ProcessResponse>('/auth/identifier/verify/finish', finish, 'guest');
      const error = blockBody.error ?? (blockBody.data as { error?: RequestErrorLike }).error;
      if (error && !blockBody.continueOnOtherDevice) return this.say('error', error.message);
      this.state.screen = { name: 'link', link, opened: true };
      this.rendered();
    });
  }

  /** Leaves the link and begins a process of this browser's own. */
  goOn(): Promise<void> {
    return this.start();
  }

  /** I have no passkey here, says the user: other ways are offered, and decisions learn of it. */
  noPasskeyHere(): Promise<void> {
    return this.do('no-passkey', async () => {
      const screen = this.state.screen;
      if (screen.name !== 'block') return;
      await this.report('login-no-credentials', (screen.body.data as PasskeyVerify).challenge);
      return this.fallBack(screen.body);
    });
  }

  /** Goes on without a passkey: to what the process names first, or to where it leads by itself. */
  private async fallBack(body: BlockBody): Promise<void> {
    const way = otherWay(body);
    if (!way) return this.step('/auth/block/skip');
    return this.step('/auth/identifier/verify/start', {
      identifierType: way.blockType === 'phone-verify' ? 'phone' : 'email', verificationType: way.verificationMethod,
    });
  }

  /** Signs in with a passkey by the browser's dialog, with options that are new at each attempt. The source says what was pressed for it. */
  usePasskey(source: LoginSource): Promise<void> {
    return this.do(source === 'other-device' ? source : 'passkey', async () => {
      const asked = { clientInformation: await client.information(), source };
      const restarted = await this.api.post<ProcessResponse>('/auth/passkey/login/start', asked, 'process');
      if (restarted.blockBody.block !== 'passkey-verify') {
        await this.arrive(restarted);
        return this.say('status', source === 'other-device' ? 'No other device can be reached from here.' : 'A passkey cannot be used from here now.');
      }
      this.showBlock(restarted.blockBody);
      return this.sign(restarted.blockBody, source);
    });
  }

  /** Signs in with a passkey that the login form does not name: whichever the user picks says who it is. */
  pickPasskey(data: LoginInit): Promise<void> {
    return this.do('pick', async () => {
      const signal = this.newCeremony();
      await this.suggested; // a browser takes no second request before the first has ended
      let signedChallenge: string;
      try {
        signedChallenge = await webauthn.get(data.conditionalUIChallenge ?? '', signal);
      } catch {
        this.suggested = this.suggestPasskeys(data); // nobody picked one
        return;
      }
      await this.step('/auth/passkey/mediation/finish', { signedChallenge });
    }, () => 'identifier');
  }

  private async sign(body: BlockBody, source?: LoginSource): Promise<void> {
    const { challenge } = body.data as PasskeyVerify;
    let signedChallenge: string;
    try {
      signedChallenge = await webauthn.get(challenge, this.newCeremony());
    } catch (error) {
      return this.unsigned(body, isCancelled(error), source);
    }
    await this.finish(body, '/auth/passkey/login/finish', signedChallenge);
  }

  /** Tells that nothing was signed. A second dialog that was closed and that nobody had pressed a button for is enough: what is sent goes on. */
  private async unsigned(body: BlockBody, cancelled: boolean, source: LoginSource | undefined): Promise<void> {
    await this.report(cancelled ? 'login-explicit-abort' : 'login-error', webauthn.challengeOf((body.data as PasskeyVerify).challenge));
    if (cancelled && (!source || source === 'error-soft')) this.cancelled++;
    if (this.cancelled < 2 || !otherWay(body)) return this.showBlock(body, cancelled ? 'cancelled' : 'failed');
    this.cancelled = 0;
    await this.fallBack(body);
    this.say('status', 'No passkey was used. This signs you in as well.');
  }

  /** Creates a passkey at the offer that a process makes: with the options that came with it, and with new ones at each further attempt. */
  createPasskey(): Promise<void> {
    return this.do('create', async () => {
      const screen = this.state.screen;
      if (screen.name === 'block' && !screen.failed && (screen.body.data as PasskeyAppend).challenge) return this.make(screen.body);
      const begun = await this.api.post<ProcessResponse>('/auth/passkey/append/start', { clientInformation: await client.information() }, 'process');
      if (!begun.blockBody.block.startsWith('passkey-append') || begun.blockBody.block === 'passkey-appended') return this.arrive(begun);
      this.showBlock(begun.blockBody);
      return this.make(begun.blockBody);
    });
  }

  private async make(body: BlockBody): Promise<void> {
    const { challenge } = body.data as PasskeyAppend;
    let signedChallenge: string;
    this.newCeremony();
    try {
      signedChallenge = await webauthn.create(challenge);
    } catch (error) {
      const failure = appendFailure(error);
      await this.report(appendEvents[failure], webauthn.challengeOf(challenge));
      if (failure !== 'exists') return this.showBlock(body, failure);
      await this.step('/auth/block/skip');
      return this.say('status', alreadyHere);
    }
    await this.finish(body, '/auth/passkey/append/finish', signedChallenge);
  }

  /** Hands in what the authenticator answered. If it is refused, the ceremony is over, and the next attempt needs another. */
  private async finish(body: BlockBody, path: string, signedChallenge: string): Promise<void> {
    try {
      await this.step(path, { signedChallenge });
    } catch (refused) {
      if (this.state.screen.name === 'block' && this.state.screen.body === body) this.state.screen = { name: 'block', body, failed: 'refused' };
      throw refused;
    }
  }

  /** Goes one step and shows where the process stands then. */
  private async step(path: string, body?: unknown): Promise<void> {
    this.newCeremony();
    await this.arrive(await this.api.post<ProcessResponse>(path, body, 'process'));
  }

  private async arrive(answer: ProcessResponse): Promise<void> {
    if (answer.newProcess) this.api.process = answer.newProcess.token;
    this.state.environment = answer.common.environment;
    const body = answer.blockBody;
    const done = body.data as Completed;
    if (done.sessionToken) {
      this.adopt(done);
      return this.showAccount();
    }
    if (body.block === 'conditional-ui-completed') return this.step('/auth/process/complete');
    this.showBlock(body);
    if (body.block === 'login-init') webauthn.signal((body.data as LoginInit).signals);
    if (body.block === 'login-init') this.suggested = this.suggestPasskeys(body.data as LoginInit);
    if (body.block.startsWith('passkey-append') && body.block !== 'passkey-appended') client.keepAppendShown();
    if (!webauthn.supported) return;
    if (body.block === 'passkey-verify' && opensAtOnce(body.data as PasskeyVerify)) return this.sign(body);
    if (body.block === 'passkey-append' && (body.data as PasskeyAppend).autoSubmit) return this.make(body);
  }

  /** Lets the browser suggest passkeys in the field where the user says who they are. It waits until one is picked, or another ceremony begins. */
  private async suggestPasskeys(data: LoginInit): Promise<void> {
    if (!data.conditionalUIChallenge || !webauthn.supported || !(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
    let signedChallenge: string;
    try {
      signedChallenge = await webauthn.get(data.conditionalUIChallenge, this.newCeremony(), true);
    } catch {
      return; // nobody picked one
    }
    await this.do('mediation', () => this.step('/auth/passkey/mediation/finish', { signedChallenge }), () => 'identifier');
  }

  /** Ends the ceremony that is under way, of which a browser takes one at a time, and returns what ends the next. */
  private newCeremony(): AbortSignal {
    this.ceremony.abort();
    this.ceremony = new AbortController();
    return this.ceremony.signal;
  }

  /** Tells what only the browser knows. That a report is lost is no reason to stop. */
  private async report(eventType: ClientEvent, challenge: string): Promise<void> {
    try {
      await this.api.post('/auth/events', { eventType, challenge: challenge || undefined }, 'process');
    } catch {
      // Decisions then know less.
    }
  }

  // -- the session --

  private adopt(tokens: { sessionToken: string; refreshToken?: string }): void {
    this.api.session = tokens.sessionToken;
    if (tokens.refreshToken) {
      this.api.refreshToken = tokens.refreshToken;
      sessionStorage.setItem(refreshKey, tokens.refreshToken);
    }
    this.state.sessionEnds = expiry(tokens.sessionToken);
    clearTimeout(this.renewal);
    const early = 30_000;
    this.renewal = window.setTimeout(() => void this.renew(), Math.max(this.state.sessionEnds - Date.now() - early, early / 3));
  }

  /** Gets a new session token, once for all who ask meanwhile. Without one the session is over. */
  private renew(): Promise<boolean> {
    this.renewing ??= this.renewOnce().finally(() => { this.renewing = undefined; });
    return this.renewing;
  }

  private async renewOnce(): Promise<boolean> {
    try {
      this.adopt(await this.api.refresh<Refreshed>());
      this.rendered();
      return true;
    } catch (failed) {
      if (failed instanceof CallError && failed.status === 401 && this.signedIn()) await this.ended();
      return false;
    }
  }

  private async ended(): Promise<void> {
    this.leave();
    try {
      await this.begin('login-init');
    } catch (failed) {
      this.state.screen = unbegun(failed);
    }
    this.say('status', 'The session has ended.');
  }

  renewNow(): Promise<void> {
    return this.do('renew', async () => {
      if (await this.renew()) this.say('status', 'The session has a new token.');
    });
  }

  private async showAccount(): Promise<void> {
    const [me] = await Promise.all([this.api.get<Me>('/me', 'session'), this.listPasskeys()]);
    this.state.screen = { name: 'account', me };
    this.watch.follow(true);
    this.rendered();
    await this.goOnWithWanted(me);
  }

  private signedIn(): boolean {
    return this.state.screen.name === 'account' || this.state.screen.name === 'again';
  }

  private async listPasskeys(): Promise<void> {
    const list = await this.api.get<{ passkeys: Passkey[]; signals?: Signals }>('/me/passkeys', 'session');
    this.state.passkeys = list.passkeys;
    webauthn.signal(list.signals);
  }

  addPasskey(): Promise<void> {
    return this.do('add', () => this.recently(undefined, () => this.add()));
  }

  deletePasskey(passkey: Passkey): Promise<void> {
    return this.do('delete', () => this.recently(passkey, () => this.remove(passkey)));
  }

  private async add(): Promise<void> {
    const clientInformation = await client.information();
    const start = await this.api.post<AppendStart>('/me/passkeys/append/start', { clientInformation }, 'session');
    client.keepHandle(start.newClientEnvHandle);
    if (start.appendNotAllowedReason || !start.attestationOptions) {
      const exists = start.appendNotAllowedReason === 'passkey_already_exists';
      const why = refusals[start.appendNotAllowedReason ?? ''] ?? 'No passkey can be created here: the decision beside says why.';
      return this.say(exists ? 'status' : 'error', why);
    }
    let attestationResponse: string;
    this.newCeremony();
    try {
      attestationResponse = await webauthn.create(start.attestationOptions);
    } catch (error) {
      const failure = appendFailure(error);
      return this.say(failure === 'failed' ? 'error' : 'status', addFailed[failure]);
    }
    const finish = { attestationResponse, clientInformation: await client.information() };
    const had = this.state.passkeys.map((p) => p.id);
    await this.change(() => this.api.post('/me/passkeys/append/finish', finish, 'session'), (now) => now.some((p) => !had.includes(p.id)));
    this.say('status', passkeyCreated);
  }

  private async remove(passkey: Passkey): Promise<void> {
    await this.change(() => this.api.delete('/me/passkeys/' + encodeURIComponent(passkey.id)), (now) => now.every((p) => p.id !== passkey.id));
    this.say('status', 'The passkey is deleted here. Your password manager may still list it.');
  }

  /** Changes the passkeys and reads them again however that ended: where the answer alone was lost, they show that it was done. */
  private async change(call: () => Promise<unknown>, done: (now: Passkey[]) => boolean): Promise<void> {
    try {
      await call();
    } catch (failed) {
      const read = await this.listPasskeys().then(() => true, () => false);
      if (!read || !done(this.state.passkeys)) throw failed;
      return;
    }
    await this.listPasskeys();
  }

  /** Does what a project may want a recent sign-in for. If the one there is is too old, the page asks for another. */
  private async recently(passkey: Passkey | undefined, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (refused) {
      const { screen } = this.state;
      if (screen.name !== 'account' || !(refused instanceof CallError) || refused.type !== 'reauthentication_required') throw refused;
      this.state.screen = { name: 'again', wanted: { me: screen.me, passkey, had: this.state.passkeys.length } };
    }
  }

  /** Leaves things as they are, instead of signing in again. */
  leaveIt(): void {
    const { screen } = this.state;
    if (this.state.busy || screen.name !== 'again') return;
    this.state.screen = { name: 'account', me: screen.wanted.me };
    this.rendered();
  }

  /** Ends the session and signs in anew as the same user, for what was wanted. */
  signInAgain(): Promise<void> {
    return this.do('again', async () => {
      const { screen } = this.state;
      if (screen.name !== 'again') return;
      await this.api.post('/me/logout', undefined, 'session');
      this.leave();
      this.wanted = screen.wanted;
      this.state.screen = { name: 'loading' };
      const begun = await this.open('login-init');
      const { identifiers } = screen.wanted.me;
      const known = identifiers.find((i) => i.status === 'primary') ?? identifiers[0];
      try {
        await this.step('/auth/login/init', { identifierValue: known?.value ?? '', isPhone: false });
      } catch (refused) {
        await this.arrive(begun);
        throw refused;
      }
    });
  }

  /** Goes on with what a sign-in was for, if it is the same user who has signed in. */
  private async goOnWithWanted(me: Me): Promise<void> {
    const { wanted } = this;
    this.wanted = undefined;
    if (wanted?.me.id !== me.id) return;
    const { passkey } = wanted;
    if (passkey) return this.recently(passkey, () => this.remove(passkey));
    if (this.state.passkeys.length > wanted.had) return this.say('status', passkeyCreated); // at the offer on the way
    return this.recently(undefined, () => this.add());
  }

  signOut(): Promise<void> {
    return this.do('logout', async () => {
      await this.api.post('/me/logout', undefined, 'session');
      this.leave();
      await this.begin('login-init');
      this.say('status', 'You are signed out.');
    });
  }

  private leave(): void {
    clearTimeout(this.renewal);
    sessionStorage.removeItem(refreshKey);
    this.api.session = this.api.refreshToken = '';
    this.state.passkeys = [];
    this.watch.follow(false);
  }

  // -- what is shown --

  private showBlock(body: BlockBody, failed?: Failure): void {
    this.state.screen = { name: 'block', body, failed };
    this.state.faults = faultsOf(body);
    const error = body.error ?? (body.data as { error?: RequestErrorLike }).error;
    if (error && body.data.blockType !== 'email-verify' && body.data.blockType !== 'phone-verify') this.say('error', error.message);
    this.rendered();
  }

  private say(kind: Notice['kind'], text: string, requestID?: string): void {
    this.state.notice = { kind, text: sentence(text), requestID };
    this.rendered();
  }

  /** Does one action at a time, and shows how it failed: at the field, if fieldOf knows which is at fault. */
  private async do(action: string, work: () => Promise<void>, fieldOf: (field: string) => string = () => ''): Promise<void> {
    if (this.state.busy) return;
    this.state.busy = action;
    this.state.notice = undefined;
    this.state.faults = {};
    this.rendered();
    try {
      await work();
    } catch (failed) {
      await this.fail(failed, fieldOf);
    } finally {
      this.state.busy = '';
      this.rendered();
    }
  }

  private async fail(failed: unknown, fieldOf: (field: string) => string): Promise<void> {
    if (failed instanceof CallError && failed.status === 401 && !this.api.session) return; // the session has ended, which has been said
    if (!(failed instanceof CallError)) {
      this.say('error', failed instanceof Error ? failed.message : String(failed));
      return;
    }
    webauthn.signal(failed.signals);
    if (failed.type === 'process_not_available' && !this.signedIn()) {
      try {
        await this.begin('login-init');
      } catch (again) {
        this.state.screen = unbegun(again);
      }
    }
    const open = failed.fields.filter((f) => {
      const field = fieldOf(f.field);
      if (field) this.state.faults = { ...this.state.faults, [field]: f.message };
      return !field;
    });
    if (failed.fields.length > 0 && open.length === 0) {
      this.rendered();
      return;
    }
    if (['loading', 'offline', 'refused'].includes(this.state.screen.name)) this.state.screen = unbegun(failed);
    this.say('error', failed.message, failed.requestID);
  }
}

/** A server that refuses is one that answers; what no envelope came with may be a proxy's word. */
function unbegun(failed: unknown): Screen {
  return { name: failed instanceof CallError && failed.type !== 'unreachable' && failed.type !== 'unknown' ? 'refused' : 'offline' };
}

type RequestErrorLike = { message: string };

const alreadyHere = 'This device already has a passkey of yours: it signs you in.';

const refusals: Record<string, string | undefined> = {
  passkey_already_exists: alreadyHere,
  passkeys_not_supported: 'This browser or device cannot create a passkey.',
};

const passkeyCreated = 'The passkey has been created.';

const addFailed: Record<AppendFailure, string> = {
  cancelled: 'No passkey was created. You can add one at any time.',
  exists: alreadyHere,
  failed: 'The device could not create a passkey.',
};

type AppendFailure = Exclude<Failure, 'refused'>;

const appendEvents: Record<AppendFailure, ClientEvent> = { cancelled: 'append-explicit-abort', exists: 'append-credential-exists', failed: 'append-error' };

/** The first way to sign in that a process names beside a passkey. */
function otherWay(body: BlockBody): VerifyIdentifier | undefined {
  for (const { data } of body.alternatives ?? []) if (data.blockType === 'email-verify' || data.blockType === 'phone-verify') return data;
  return undefined;
}

/** Whether the browser is asked without a press of a button: not for another device, which takes a phone in the hand and a code on the screen. */
function opensAtOnce(data: PasskeyVerify): boolean {
  return data.challenge !== '' && data.loginHint !== 'cda';
}

/** Whether the user closed the dialog or let it run out: browsers do not tell which. */
function isCancelled(error: unknown): boolean {
  return error instanceof DOMException && (error.name === 'NotAllowedError' || error.name === 'AbortError');
}

function appendFailure(error: unknown): AppendFailure {
  if (error instanceof DOMException && error.name === 'InvalidStateError') return 'exists';
  return isCancelled(error) ? 'cancelled' : 'failed';
}

/** When a token ends, in Unix milliseconds. */
function expiry(token: string): number {
  try {
    const claims = JSON.parse(atob((token.split('.')[1] ?? '').replace(/-/g, '+').replace(/_/g, '/'))) as { exp: number };
    return claims.exp * 1000;
  } catch {
    return Date.now() + 5 * 60_000;
  }
}
