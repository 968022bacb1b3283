// What the tests need of the server that runs while they do: where it is, who may call it, and a software authenticator.
import { execFileSync } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Config, SDK } from '@corbado/node-sdk';

function setting(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; TestTheNodeSDK sets it`);
  return value;
}

export const base = setting('KEYWARD_URL');
export const project = setting('KEYWARD_PROJECT');
export const secret = setting('KEYWARD_SECRET');
// home is the same by the name that tokens are issued under.
export const home = base.replace('127.0.0.1', 'localhost');
const binary = setting('KEYWARD_BINARY');

export function sdk(withSecret = secret, withProject = project, frontend = base) {
  return new SDK(new Config(withProject, withSecret, frontend, base));
}

let counter = 0;

// unique returns a text that no other test uses.
export function unique(prefix) {
  counter += 1;
  return `${prefix}${Date.now().toString(36)}${counter}`;
}

// device is a phone with a passkey provider. create and get answer the options of a start call as a browser would.
export function device() {
  const file = join(mkdtempSync(join(tmpdir(), 'keyward-sdk-')), 'device.json');
  const answer = (verb, start) =>
    execFileSync(binary, ['authenticator', verb, '--device', file], { input: JSON.stringify(start), encoding: 'utf8' }).trim();
  return { create: (start) => answer('create', start), get: (start) => answer('get', start) };
}

export const client = {
  remoteAddress: '192.0.2.7',
  userAgent: 'Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1',
  userVerifyingPlatformAuthenticatorAvailable: true,
  conditionalMediationAvailable: true,
};
