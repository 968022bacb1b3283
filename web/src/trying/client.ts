// What the browser says of itself, as decisions need it.
import { supported } from './webauthn';

const handleKey = 'keyward.clientEnvHandle';
const shownKey = 'keyward.passkeyAppendShown';

interface Kept { data: string; ts: number }

/** Keeps the handle by which this browser is known again. */
export function keepHandle(handle: string | undefined): void {
  if (handle) write(handleKey, JSON.stringify({ data: handle, ts: Date.now() } satisfies Kept));
}

/** Remembers that a passkey has been offered just now. */
export function keepAppendShown(): void {
  write(shownKey, String(Math.floor(Date.now() / 1000)));
}

/** When a passkey was offered last, in Unix seconds. */
export function appendShown(): number | undefined {
  return Number(read(shownKey)) || undefined;
}

/** Collects the client information that calls carry. What the browser cannot tell is left out. */
export async function information(): Promise<Record<string, unknown>> {
  const capable = supported ? PublicKeyCredential : undefined;
  const [platform, conditional, capabilities, entropy, bluetooth] = await Promise.all([
    quickly(capable?.isUserVerifyingPlatformAuthenticatorAvailable?.()),
    quickly(capable?.isConditionalMediationAvailable?.()),
    quickly((capable as { getClientCapabilities?(): Promise<Record<string, boolean>> } | undefined)?.getClientCapabilities?.()),
    quickly(userAgentData()?.getHighEntropyValues(['platformVersion'])),
    quickly((navigator as { bluetooth?: { getAvailability?(): Promise<boolean> } }).bluetooth?.getAvailability?.()),
  ]);
  const kept = handle();
  return {
    canUsePasskeys: supported,
    isUserVerifyingPlatformAuthenticatorAvailable: platform ?? false,
    isConditionalMediationAvailable: conditional ?? false,
    clientCapabilities: capabilities && { ...capabilities },
    javaScriptHighEntropy: entropy && { platform: entropy.platform, platformVersion: entropy.platformVersion ?? '', mobile: entropy.mobile },
    bluetoothAvailable: bluetooth,
    webdriver: navigator.webdriver,
    maxTouchPoints: navigator.maxTouchPoints,
    isNative: false,
    clientEnvHandle: kept?.data,
    clientEnvHandleMeta: kept && { ts: kept.ts, source: 'ls' },
  };
}

interface HighEntropy { platform: string; platformVersion?: string; mobile: boolean }

function userAgentData() {
  return (navigator as { userAgentData?: { getHighEntropyValues(hints: string[]): Promise<HighEntropy> } }).userAgentData;
}

/** What is known within a second: no question to the browser may hold up a sign-in. */
async function quickly<T>(asked: Promise<T> | undefined): Promise<T | undefined> {
  if (!asked) return undefined;
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, 1000, undefined));
  return Promise.race([asked.catch(() => undefined), late]);
}

function handle(): Kept | undefined {
  try {
    return JSON.parse(read(handleKey) ?? '') as Kept;
  } catch {
    return undefined;
  }
}

// Storage may be forbidden; then this browser is new at every visit.
function read(key: string): string | null {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

function write(key: string, value: string): void {
  try {
    localStorage.setItem(key, value);
  } catch {
    // see read
  }
}
