// WebAuthn in the JSON form of Level 3, with what browsers that do not know that form yet lack.

import type { Signals } from './types';

interface DescriptorJSON { id: string; type: PublicKeyCredentialType; transports?: string[] }

export const supported = typeof PublicKeyCredential === 'function' && !!navigator.credentials?.create;

/** The challenge of options as the API gives them: it names the ceremony in what is reported of it. */
export function challengeOf(options: string): string {
  if (!options) return '';
  return (JSON.parse(options) as { publicKey: { challenge: string } }).publicKey.challenge;
}

/** Creates a passkey and returns what the API takes for it. */
export async function create(options: string): Promise<string> {
  const json = (JSON.parse(options) as { publicKey: PublicKeyCredentialCreationOptionsJSON }).publicKey;
  const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON?.(json) ?? creation(json);
  const credential = await navigator.credentials.create({ publicKey });
  return JSON.stringify(toJSON(credential as PublicKeyCredential));
}

/** Signs with a passkey and returns what the API takes for it. Conditional waits until the user picks one from the field's suggestions. */
export async function get(options: string, signal: AbortSignal, conditional = false): Promise<string> {
  const json = (JSON.parse(options) as { publicKey: PublicKeyCredentialRequestOptionsJSON }).publicKey;
  const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON?.(json) ?? request(json);
  const credential = await navigator.credentials.get(conditional ? { publicKey, signal, mediation: 'conditional' } : { publicKey, signal });
  return JSON.stringify(toJSON(credential as PublicKeyCredential));
}

interface Signalling {
  signalUnknownCredential?(o: { rpId: string; credentialId: string }): Promise<void>;
  signalAllAcceptedCredentials?(o: { rpId: string; userId: string; allAcceptedCredentialIds: string[] }): Promise<void>;
  signalCurrentUserDetails?(o: { rpId: string; userId: string; name: string; displayName: string }): Promise<void>;
}

/** Tells the credential manager what the server says of passkeys, if it listens. Nobody waits for it, and that it fails changes nothing. */
export function signal(told: Signals | undefined): void {
  if (!supported || !told) return;
  const manager = PublicKeyCredential as unknown as Signalling;
  const { rpID: rpId, userID: userId, allAcceptedCredentialIDs, name, displayName, unknownCredentialID } = told;
  const quiet = (done: Promise<void> | undefined) => { done?.catch(() => {}); };
  if (unknownCredentialID) quiet(manager.signalUnknownCredential?.({ rpId, credentialId: unknownCredentialID }));
  if (!userId) return;
  if (allAcceptedCredentialIDs) quiet(manager.signalAllAcceptedCredentials?.({ rpId, userId, allAcceptedCredentialIds: allAcceptedCredentialIDs }));
  if (name !== undefined) quiet(manager.signalCurrentUserDetails?.({ rpId, userId, name, displayName: displayName ?? name }));
}

function creation(o: PublicKeyCredentialCreationOptionsJSON): PublicKeyCredentialCreationOptions {
  return {
    ...(o as unknown as PublicKeyCredentialCreationOptions),
    challenge: bytes(o.challenge),
    user: { ...o.user, id: bytes(o.user.id) },
    excludeCredentials: descriptors(o.excludeCredentials as DescriptorJSON[] | undefined),
  };
}

function request(o: PublicKeyCredentialRequestOptionsJSON): PublicKeyCredentialRequestOptions {
  return {
    ...(o as unknown as PublicKeyCredentialRequestOptions),
    challenge: bytes(o.challenge),
    allowCredentials: descriptors(o.allowCredentials as DescriptorJSON[] | undefined),
  };
}

function descriptors(all: DescriptorJSON[] = []): PublicKeyCredentialDescriptor[] {
  return all.map((d) => ({ ...d, id: bytes(d.id) }) as PublicKeyCredentialDescriptor);
}

function toJSON(credential: PublicKeyCredential): unknown {
  if (typeof credential.toJSON === 'function') return credential.toJSON();
  const { id, rawId, type, authenticatorAttachment, response } = credential;
  const whole = { id, rawId: text(rawId), type, authenticatorAttachment, clientExtensionResults: credential.getClientExtensionResults() };
  const clientDataJSON = text(response.clientDataJSON);
  if ('attestationObject' in response) {
    const made = response as AuthenticatorAttestationResponse;
    return { ...whole, response: { clientDataJSON, attestationObject: text(made.attestationObject), transports: made.getTransports?.() ?? [] } };
  }
  const signed = response as AuthenticatorAssertionResponse;
  return {
    ...whole,
    response: {
      clientDataJSON,
      authenticatorData: text(signed.authenticatorData),
      signature: text(signed.signature),
      userHandle: signed.userHandle ? text(signed.userHandle) : undefined,
    },
  };
}

function bytes(base64url: string): Uint8Array<ArrayBuffer> {
  const binary = atob(base64url.replace(/-/g, '+').replace(/_/g, '/'));
  return Uint8Array.from(binary, (c) => c.charCodeAt(0));
}

function text(buffer: ArrayBuffer): string {
  const binary = String.fromCharCode(...new Uint8Array(buffer));
  return btoa(binary).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');
}
