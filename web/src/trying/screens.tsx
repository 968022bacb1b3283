// The screens of signing up and signing in: one for each block of the process.
import { useEffect, useState } from 'preact/hooks';
import { Action, Field, Form, Heading } from './parts';
import type { Link } from './link';
import type { State, Trial, Failure } from './trial';
import type { BlockBody, IdentifierType, LoginInit, PasskeyAppend, PasskeyVerify, SignupInit, VerificationMethod, VerifyIdentifier } from './types';
import { supported } from './webauthn';

interface Props { trial: Trial; state: State; quiet: boolean }
interface BlockProps extends Props { body: BlockBody; failed?: Failure | undefined }

export function Block(props: BlockProps) {
  switch (props.body.data.blockType) {
    case 'signup-init':
      return <SignUp {...props} data={props.body.data} />;
    case 'login-init':
      return <SignIn {...props} data={props.body.data} />;
    case 'passkey-append':
    case 'passkey-append-after-hybrid':
      return <CreatePasskey {...props} data={props.body.data} />;
    case 'passkey-appended':
      return <Created {...props} />;
    case 'passkey-verify':
      return <UsePasskey {...props} data={props.body.data} />;
    case 'email-verify':
    case 'phone-verify':
      return <Verify {...props} data={props.body.data} />;
    case 'post-signup-email-verify':
      return <VerifyLater {...props} />;
    default:
      return <Unknown {...props} />;
  }
}

const labels: Record<IdentifierType, string> = { email: 'Email address', username: 'User name', phone: 'Phone number' };
const kinds: Record<IdentifierType, { type: 'email' | 'text' | 'tel'; autocomplete: string; inputMode: 'email' | 'text' | 'tel' }> = {
  email: { type: 'email', autocomplete: 'email', inputMode: 'email' },
  username: { type: 'text', autocomplete: 'username', inputMode: 'text' },
  phone: { type: 'tel', autocomplete: 'tel', inputMode: 'tel' },
};

/** Joins words as a sentence does. */
function either(words: string[]): string {
  return words.length < 2 ? words.join('') : words.slice(0, -1).join(', ') + ' or ' + words[words.length - 1];
}

function SignUp({ trial, state, quiet, data }: BlockProps & { data: SignupInit }) {
  const several = data.identifiers.length > 1;
  return (
    <Form
      submit={(value) => {
        const identifiers = data.identifiers.map(({ type }) => ({ type, identifier: value(type) })).filter((i) => i.identifier);
        void trial.signUp(data.fullName && value('fullName'), identifiers.length > 0 ? identifiers : [{ type: data.identifiers[0]?.type ?? 'email', identifier: '' }]);
      }}
    >
      <Heading quiet={quiet}>Create an account</Heading>
      <p class="lead">{several ? `Choose what you are known by: ${either(data.identifiers.map((i) => labels[i.type].toLowerCase()))}. One is enough.` : 'Next, your device makes a passkey for it.'}</p>
      {data.fullName && <Field name="fullName" label="Your name" autocomplete="name" value={data.fullName.fullName} fault={state.faults['fullName']} maxLength={255} />}
      {data.identifiers.map(({ type, identifier, receivesCodes }) => (
        <Field
          key={type} name={type} label={labels[type]} value={identifier} fault={state.faults[type]} maxLength={320} {...kinds[type]}
          hint={receivesCodes === false ? noCodes : undefined}
        />
      ))}
      <Action kind="main" busy={state.busy === 'signup'} locked={!!state.busy}>Create account</Action>
      <p class="other">
        Been here before? <button type="button" class="link" onClick={() => void trial.prefer('login-init')}>Sign in</button>
      </p>
    </Form>
  );
}

/** What is said before a sign-up with what receives no codes. */
const noCodes = supported
  ? 'No code can be sent to it: with it alone, only a passkey brings you back in.'
  : 'No code can be sent to it, and this browser has no passkeys: with it alone you could not sign in again.';

function SignIn({ trial, state, quiet, body, data }: BlockProps & { data: LoginInit }) {
  const known = either([data.isEmailAvailable && 'email address', data.isUsernameAvailable && 'user name', data.isPhoneAvailable && 'phone number'].filter((w) => w !== false));
  return (
    <Form submit={(value) => void trial.signIn(value('identifier'))}>
      <Heading quiet={quiet}>Sign in</Heading>
      <p class="lead">{supported ? 'Your passkey signs you in, if this device has one.' : 'A code signs you in: this browser has no passkeys.'}</p>
      <Field
        name="identifier" label={known ? known[0]!.toUpperCase() + known.slice(1) : 'User name'} autocomplete="username webauthn"
        value={data.identifierValue} fault={state.faults['identifier']} maxLength={320}
        hint={data.conditionalUIChallenge && supported ? 'Passkeys of this device are suggested in the field.' : undefined}
      />
      <Action kind="main" busy={state.busy === 'login'} locked={!!state.busy}>Continue</Action>
      {body.error && data.conditionalUIChallenge && supported && (
        <Action busy={state.busy === 'pick'} locked={!!state.busy} onClick={() => void trial.pickPasskey(data)}>Use another passkey</Action>
      )}
      <p class="other">
        New here? <button type="button" class="link" onClick={() => void trial.prefer('signup-init')}>Create an account</button>
      </p>
    </Form>
  );
}

const offers: Record<PasskeyAppend['variant'], { title: string; text: string }> = {
  default: { title: 'Create a passkey', text: 'Next time your fingerprint, face or screen lock signs you in. There is nothing to remember and nothing to type.' },
  'after-hybrid': { title: 'Create a passkey on this device too', text: 'You have just used another device. With a passkey of its own, this one can do without it the next time.' },
  'after-error': { title: 'Add a passkey for this device', text: 'No passkey signed you in here this time. Add one for this device; the ones you have stay as they are.' },
  'after-no-credential': { title: 'Add a passkey for this device', text: 'You have a passkey, and none is expected here. Add one, and this device signs you in too; the ones you have stay as they are.' },
};

function CreatePasskey({ trial, state, quiet, body, data, failed }: BlockProps & { data: PasskeyAppend }) {
  const [leaving, leave] = useState(false); // the user was told what comes of going on without it
  const offer = offers[body.block === 'passkey-append-after-hybrid' ? 'after-hybrid' : data.variant] ?? offers.default;
  return (
    <div class="stack">
      <Heading quiet={quiet}>{offer.title}</Heading>
      <p class="lead">{offer.text}</p>
      <p class="who"><span>For</span> <strong>{data.identifierValue}</strong></p>
      <Outcome calm={failed === 'cancelled'} text={failed && createFailed[failed]} />
      {leaving && (
        <p class="fault" role="alert">
          Without a passkey you cannot sign in as {data.identifierValue} again: no code can be sent to a user name. Create one, or begin anew with an email address.
        </p>
      )}
      <div class="row">
        <Action kind="main" busy={state.busy === 'create'} locked={!!state.busy} onClick={() => void trial.createPasskey()}>{failed && failed !== 'cancelled' ? 'Try again' : 'Create passkey'}</Action>
        {data.onlyWayBack && !leaving
          ? <Action key="ask" busy={false} locked={!!state.busy} onClick={() => leave(true)}>Not now</Action>
          : <Action key="skip" busy={state.busy === 'skip'} locked={!!state.busy} onClick={() => void trial.skip()}>{leaving ? 'Go on without' : 'Not now'}</Action>}
      </div>
    </div>
  );
}

const createFailed: Record<Failure, string> = {
  cancelled: 'No passkey was created. You can do it now, or another time.',
  failed: 'The passkey could not be created.',
  refused: 'The passkey was not accepted.',
  exists: 'This device already has a passkey for this account.',
};

/** How a ceremony ended. The region of what is calm is always there, so that screen readers notice what appears in it. */
function Outcome({ calm, text }: { calm: boolean; text: string | undefined }) {
  return (
    <>
      <p role="status" class="note">{calm ? text : ''}</p>
      {!calm && text && <p class="fault" role="alert">{text}</p>}
    </>
  );
}

function Created({ trial, state, quiet }: BlockProps) {
  return (
    <div class="stack">
      <Heading quiet={quiet}>Your passkey is ready</Heading>
      <p class="lead">From now on it signs you in, here and wherever your password manager brings it.</p>
      <Action kind="main" busy={state.busy === 'proceed'} locked={!!state.busy} onClick={() => void trial.proceed()}>Continue</Action>
    </div>
  );
}

function UsePasskey({ trial, state, quiet, body, data, failed }: BlockProps & { data: PasskeyVerify }) {
  const otherDevice = data.loginHint === 'cda';
  const waiting = (state.busy !== '' && !failed) || state.busy === 'passkey';
  const again = failed === 'cancelled' && !otherDevice ? 'error-soft' : 'button';
  return (
    <div class="stack">
      <Heading quiet={quiet}>{otherDevice ? 'Sign in with your other device' : 'Sign in with your passkey'}</Heading>
      <p class="lead">{otherDevice ? <ByPhone waiting={waiting} holder={data.otherDevice} /> : waiting ? 'Your browser asks for it now.' : 'Use the fingerprint, face or screen lock of this device.'}</p>
      <p class="who"><span>As</span> <strong>{data.identifierValue}</strong></p>
      <Outcome calm={failed === 'cancelled'} text={failed && useFailed[failed]} />
      <div class="row">
        <Action kind="main" busy={state.busy === 'passkey'} locked={!!state.busy || !supported} onClick={() => void trial.usePasskey(again)}>
          {(failed && useAgain[failed]) ?? (otherDevice ? 'Show the code' : 'Use passkey')}
        </Action>
        <Action busy={state.busy === 'no-passkey'} locked={!!state.busy} onClick={() => void trial.noPasskeyHere()}>My passkey is not here</Action>
      </div>
      {!otherDevice && supported && (
        <p class="other">
          <button type="button" class="link" aria-disabled={!!state.busy} onClick={() => void trial.usePasskey('other-device')}>Use a passkey from another device</button>
        </p>
      )}
      <Alternatives trial={trial} state={state} body={body} />
      <StartOver trial={trial} />
    </div>
  );
}

/** What comes of going on with another device, said before it does. */
function ByPhone({ waiting, holder }: { waiting: boolean; holder: string | undefined }) {
  return waiting
    ? <>Your browser shows a code: scan it with your phone.</>
    : <>Your passkey is on another device{holder && <>, in <strong>{holder}</strong></>}. Your browser will show a code: scan it with that device, and keep it near this computer with Bluetooth on.</>;
}

const useFailed: Record<Failure, string> = {
  cancelled: 'No passkey was used. Try again, or sign in another way.',
  failed: 'The passkey did not work.',
  refused: 'The sign-in with this passkey was not accepted. Use another one, or sign in another way.',
  exists: '',
};

const useAgain: Partial<Record<Failure, string>> = { cancelled: 'Try again', failed: 'Try again', refused: 'Use another passkey' };

/** What a link in an email leads to. Programs that look at emails open links too, so it takes a click. */
export function OpenLink({ trial, state, quiet, link, opened }: Props & { link: Link; opened: boolean }) {
  return (
    <div class="stack">
      <Heading quiet={quiet}>{opened ? 'That is confirmed' : 'Confirm your email address'}</Heading>
      <p class="lead">{opened ? 'Go on where you began: that window continues by itself.' : <><strong>{link.identifier}</strong> is to be confirmed for a sign-up or sign-in. If it was not you who began it, close this page.</>}</p>
      {!opened && <Action kind="main" busy={state.busy === 'link'} locked={!!state.busy} onClick={() => void trial.confirmLink(link)}>Confirm</Action>}
      <p class="other"><button type="button" class="link" onClick={() => void trial.goOn()}>Go to the start</button></p>
    </div>
  );
}

/** The other ways that the process knows of. */
function Alternatives({ trial, state, body }: { trial: Trial; state: State; body: BlockBody }) {
  const ways = (body.alternatives ?? []).flatMap((b) => (b.data.blockType === 'email-verify' || b.data.blockType === 'phone-verify' ? [b.data] : []));
  if (ways.length === 0) return null;
  return (
    <p class="other">
      {ways.map((way) => (
        <button type="button" key={way.blockType} class="link" aria-disabled={!!state.busy} onClick={() => void trial.sendCode(typeOf(way), way.verificationMethod)}>
          {means[way.verificationMethod]} to {way.identifier}
        </button>
      ))}
    </p>
  );
}

const means: Record<VerificationMethod, string> = { 'email-otp': 'Send a code', 'phone-otp': 'Send a code', 'email-link': 'Send a link' };

function typeOf(data: VerifyIdentifier): IdentifierType {
  return data.blockType === 'phone-verify' ? 'phone' : 'email';
}

function Verify({ trial, state, quiet, data }: BlockProps & { data: VerifyIdentifier }) {
  const byLink = data.verificationMethod === 'email-link';
  const wait = useSecondsUntil(data.retryNotBefore);
  useEffect(() => {
    if (!byLink) return undefined;
    const asking = setInterval(() => void trial.checkLink(), 2000);
    return () => clearInterval(asking);
  }, [byLink]);
  const again = (
    <Action busy={state.busy === 'send'} locked={!!state.busy || wait > 0} onClick={() => void trial.sendCode(typeOf(data), data.verificationMethod)}>
      {wait > 0 ? `Send again in ${wait} s` : 'Send again'}
    </Action>
  );
  return (
    <Form submit={(value) => void trial.checkCode(value('code'), data)}>
      <Heading quiet={quiet}>{byLink ? 'Open the link' : 'Enter the code'}</Heading>
      <p class="lead">{byLink ? 'A link was sent to' : 'Six digits were sent to'} <strong>{data.identifier}</strong>.</p>
      {!byLink && <Field name="code" label="Code" autocomplete="one-time-code" inputMode="numeric" fault={state.faults['code']} maxLength={128} />}
      <aside class="where">
        <strong>Where is it?</strong> With the default settings Keyward sends nothing out: look for the line <code>[development outbox]</code> in the terminal where it runs.
      </aside>
      <div class="row">
        {!byLink && <Action kind="main" busy={state.busy === 'check'} locked={!!state.busy}>Verify</Action>}
        {again}
        {data.isPostLoginVerification && <Action busy={state.busy === 'skip'} locked={!!state.busy} onClick={() => void trial.skip()}>Later</Action>}
      </div>
      <p class="other">
        {data.alternativeVerificationMethods.map((other) => (
          <button type="button" key={other.verificationMethod} class="link" onClick={() => void trial.sendCode(other.verificationMethod === 'phone-otp' ? 'phone' : 'email', other.verificationMethod)}>
            {means[other.verificationMethod]} to {other.identifier} instead
          </button>
        ))}
      </p>
      <StartOver trial={trial} />
    </Form>
  );
}

function VerifyLater({ trial, state, quiet }: BlockProps) {
  return (
    <div class="stack">
      <Heading quiet={quiet}>Verify your email address</Heading>
      <p class="lead">With a verified address you can get back in by a code if you lose your passkey.</p>
      <div class="row">
        <Action kind="main" busy={state.busy === 'send'} locked={!!state.busy} onClick={() => void trial.sendCode('email', 'email-otp')}>Send a code</Action>
        <Action busy={state.busy === 'skip'} locked={!!state.busy} onClick={() => void trial.skip()}>Later</Action>
      </div>
    </div>
  );
}

function Unknown({ trial, quiet, body }: BlockProps) {
  return (
    <div class="stack">
      <Heading quiet={quiet}>One more step</Heading>
      <p class="lead">This page does not know the step <code>{body.block}</code>.</p>
      <StartOver trial={trial} />
    </div>
  );
}

function StartOver({ trial }: { trial: Trial }) {
  return <p class="other"><button type="button" class="link" onClick={() => void trial.restart()}>Start over</button></p>;
}

/** The whole seconds until a moment, counted down. */
function useSecondsUntil(unixSeconds: number | undefined): number {
  const left = () => Math.max(0, Math.ceil((unixSeconds ?? 0) - Date.now() / 1000));
  const [seconds, set] = useState(left());
  useEffect(() => {
    set(left());
    if (left() === 0) return undefined;
    const counting = setInterval(() => set(left()), 1000);
    return () => clearInterval(counting);
  }, [unixSeconds]);
  return seconds;
}
