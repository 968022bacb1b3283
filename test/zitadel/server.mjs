// What the suites know of the Keyward that runs for them, and how they act as its users' devices.
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const need = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; go test ./test sets it`);
  return value;
};

export const http = need('SUITE_URL');
export const grpc = need('SUITE_GRPC_URL');
export const project = need('SUITE_PROJECT');
export const token = need('SUITE_TOKEN'); // of a service user
export const pageOrigin = need('SUITE_PAGE_ORIGIN'); // one of the project's origins, where nobody listens yet
export const descriptors = need('SUITE_DESCRIPTORS'); // a file with the FileDescriptorSet of the server
export const buf = need('SUITE_BUF');
export const chromiumPath = need('SUITE_CHROMIUM');
const binary = need('SUITE_BINARY');
const dataDir = need('SUITE_DATA_DIR');
const basic = 'Basic ' + Buffer.from(`${project}:${need('SUITE_SECRET')}`).toString('base64');

// run runs a command and resolves to its output; with input, that is its standard input.
export const run = (command, args, input) => new Promise((resolve, reject) => {
  const child = execFile(command, args, { timeout: 120_000 }, (error, stdout, stderr) => {
    if (error) reject(new Error(`${command} ${args.join(' ')}: ${error.message}\n${stdout}${stderr}`));
    else resolve(stdout);
  });
  if (input !== undefined) child.stdin.end(input);
});

export const keyward = (...args) => run(binary, args);
export const admin = (...args) => keyward(...args, '--data-dir', dataDir, '--project', project);

// backend calls the Backend API, as the customer's backend.
export async function backend(method, path, body) {
  const answer = await fetch(http + path, { method, headers: { authorization: basic, 'content-type': 'application/json' }, body: body && JSON.stringify(body) });
  const said = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(said)}`);
  return said;
}

export const newUser = async () => (await backend('POST', '/v2/users', { status: 'active', fullName: 'Ada Lovelace' })).userID;

// device is a software authenticator with real keys, on a page of the project.
export async function device() {
  const directory = await mkdtemp(join(tmpdir(), 'device-'));
  after(() => rm(directory, { recursive: true, force: true }));
  const flags = ['--device', join(directory, 'device.json'), '--origin', 'http://localhost:8080'];
  return {
    create: async (options) => JSON.parse(await run(binary, ['authenticator', 'create', ...flags], JSON.stringify({ attestationOptions: JSON.stringify(options) }))),
    get: (start) => run(binary, ['authenticator', 'get', ...flags], JSON.stringify(start)),
  };
}

const client = { remoteAddress: '192.0.2.7', userAgent: 'Mozilla/5.0 (Macintosh)', userVerifyingPlatformAuthenticatorAvailable: true, conditionalMediationAvailable: true };

// login logs a user in through the Backend API and resolves to the ID of the passkey that did it.
export async function login(userID, phone) {
  const processID = `login-${userID}`;
  const start = await backend('POST', '/v2/passkey/login/start', { userID, processID, crossDeviceAuthenticationStrategy: 'standard', clientInformation: client });
  if (!start.loginAllow) throw new Error(`no login is offered: ${start.decisionTag}`);
  const finish = await backend('POST', '/v2/passkey/login/finish', { userID, processID, clientInformation: client, assertionResponse: await phone.get(start) });
  return finish.passkeyData.id;
}

export const eventTypes = async (userID) => (await backend('GET', `/v2/users/${userID}/passkeyEvents?include=engine`)).passkeyEvents.map((e) => e.eventType);

export const audienceScope = 'urn:zitadel:iam:org:project:id:zitadel:aud';

// newIssuer is an OpenID Connect issuer on the loopback whose tokens the project takes. token(user) makes an access token.
export async function newIssuer() {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const server = createServer((request, answer) => {
    const url = `http://127.0.0.1:${server.address().port}`;
    answer.setHeader('content-type', 'application/json');
    if (request.url === '/.well-known/openid-configuration') return answer.end(JSON.stringify({ issuer: url, jwks_uri: `${url}/keys` }));
    return exportJWK(publicKey).then((key) => answer.end(JSON.stringify({ keys: [{ ...key, kid: 'one', alg: 'ES256', use: 'sig' }] })));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${server.address().port}`;
  after(() => { server.closeAllConnections(); server.close(); });
  await admin('project', 'issuer', 'add', '--url', url, '--audience', 'keyward');
  return {
    token: (user, { scope = `openid ${audienceScope}`, expires = '5m', audience = 'keyward', permissions } = {}) => new SignJWT({ scope, permissions })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' }).setIssuer(url).setSubject(user).setAudience(audience).setIssuedAt().setExpirationTime(expires).sign(privateKey),
  };
}
