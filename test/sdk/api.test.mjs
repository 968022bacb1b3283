// The calls that the SDK generates for every group of the Backend API.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import * as api from './node_modules/@corbado/node-sdk/esm/generated/api.js';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { base, client, device, project, sdk, unique } from './server.mjs';

const keyward = sdk();
const of = (Api) => new Api(undefined, '', keyward.axiosClient);
const users = of(api.UsersApi);
const identifiers = of(api.IdentifiersApi);
const challenges = of(api.ChallengesApi);
const authEvents = of(api.AuthEventsApi);
const connectTokens = of(api.ConnectTokensApi);
const passkeys = of(api.PasskeysApi);
const passkeyEvents = of(api.PasskeyEventsApi);
const passkeyChallenges = of(api.PasskeyChallengesApi);
const projectConfig = of(api.ProjectConfigApi);
const sessions = of(api.SessionsApi);

const user = async () => (await users.userCreate({ fullName: unique('Ada '), status: 'active' })).data;

// data takes the answer of a call that must answer 200 with JSON: other SDKs take nothing else for a success.
async function data(call) {
  const response = await call;
  assert.equal(response.status, 200);
  assert.match(response.headers['content-type'], /json/);
  return response.data;
}

// fails expects an error envelope, and that one of its messages is the given one.
async function fails(call, status, message) {
  const { response } = await call.then(
    () => assert.fail('the call succeeded'),
    (error) => error,
  );
  assert.equal(response.status, status);
  assert.match(response.headers['content-type'], /json/);
  const body = response.data;
  assert.equal(body.httpStatusCode, status);
  assert.deepEqual(body.error.links, []);
  if (message) assert.deepEqual((body.error.validation ?? []).map((v) => `${v.field}: ${v.message}`), [message]);
  return body.error;
}

describe('users', () => {
  test('are changed and listed with what belongs to them', async () => {
    const { userID } = await user();
    const fullName = unique('Augusta ');
    assert.equal((await data(users.userUpdate(userID, { fullName }))).fullName, fullName);
    const mail = await data(identifiers.identifierCreate(userID, { identifierType: 'email', identifierValue: `${unique('a')}@example.com`, status: 'primary' }));
    const social = await data(
      users.socialAccountCreate(userID, { providerType: 'github', identifierValue: 'ada', foreignID: unique('f'), avatarURL: 'https://example.com/a.png', fullName }),
    );
    assert.match(social.socialAccountID, /^soc-\d+$/);
    const found = (await keyward.axiosClient.get('/users', { params: { 'filter[]': `searchValue:eq:${mail.value}` } })).data;
    assert.equal(found.paging.totalItems, 1);
    assert.deepEqual(found.users[0].emailIdentifiers, [mail]);
    assert.deepEqual(found.users[0].socialAccounts, [social]);
    assert.equal(typeof found.users[0].createdMS, 'number');
    await fails(users.userUpdate('usr-123456789', { fullName }), 400, 'userID: does not exist');
  });

  test('have social accounts that belong to one user', async () => {
    const [first, second, foreignID] = [await user(), await user(), unique('f')];
    const request = { providerType: 'google', identifierValue: 'ada@example.com', foreignID, avatarURL: '', fullName: 'Ada' };
    const social = await data(users.socialAccountCreate(first.userID, request));
    assert.deepEqual(await data(users.userSocialAccountList(first.userID)), [social]);
    assert.deepEqual((await data(users.socialAccountList('', [`foreignID:eq:${foreignID}`]))).socialAccounts, [social]);
    assert.equal((await fails(users.socialAccountCreate(second.userID, request), 409)).type, 'already_exists');
    await fails(users.socialAccountCreate(first.userID, { ...request, providerType: 'myspace' }), 400);
    await fails(users.userSocialAccountList('usr-123456789'), 400, 'userID: does not exist');
  });
});

describe('challenges', () => {
  const withEmail = async () => {
    const { userID } = await user();
    const value = `${unique('a')}@example.com`;
    await data(identifiers.identifierCreate(userID, { identifierType: 'email', identifierValue: value, status: 'pending' }));
    return { userID, value };
  };
  const create = (userID, value, more = {}) =>
    challenges.challengeCreate(userID, { challengeType: 'email_otp', identifierValue: value, clientInformation: client, ...more });

  test('are completed once by the right value, which verifies the identifier', async () => {
    const { userID, value } = await withEmail();
    const challenge = await data(create(userID, value));
    assert.equal(challenge.status, 'pending');
    assert.match(challenge.value, /^\d{6}$/);
    assert.ok(challenge.expires > Date.now() / 1000);
    const wrong = challenge.value === '000000' ? '000001' : '000000';
    const error = await fails(challenges.challengeUpdate(userID, challenge.challengeID, { value: wrong }), 400);
    assert.equal(error.validation[0].field, 'value');
    assert.equal((await data(challenges.challengeUpdate(userID, challenge.challengeID, { value: challenge.value }))).status, 'completed');
    await fails(challenges.challengeUpdate(userID, challenge.challengeID, { value: challenge.value }), 400);
    assert.equal((await keyward.identifiers().listByUserId(userID)).identifiers[0].status, 'verified');
  });

  test('name what is wrong', async () => {
    const { userID, value } = await withEmail();
    await fails(create('usr-123456789', value), 400, 'userID: does not exist');
    await fails(create(userID, ''), 400, 'identifierValue: cannot be blank');
    await fails(create(userID, 'someone.else@example.com'), 400, 'identifierValue: does not exist');
    await fails(create(userID, value, { challengeType: 'pigeon' }), 400);
    await fails(challenges.challengeUpdate(userID, 'cha-123456789', { value: '1' }), 400, 'challengeID: does not exist');
  });
});

describe('auth events', () => {
  test('are stored', async () => {
    const { userID } = await user();
    const request = { username: 'ada@example.com', eventType: 'login', method: 'password', status: 'success', clientInformation: client };
    const stored = await data(authEvents.authEventCreate(userID, request));
    assert.equal(stored.userID, userID);
    assert.equal(stored.method, 'password');
    assert.equal(typeof stored.createdMs, 'number');
    await fails(authEvents.authEventCreate(userID, { ...request, method: 'pigeon' }), 400);
    await fails(authEvents.authEventCreate('usr-123456789', request), 400, 'userID: does not exist');
  });
});

describe('connect tokens', () => {
  test('are created, listed, consumed and deleted', async () => {
    const identifier = `${unique('a')}@example.com`;
    const token = await data(connectTokens.connectTokenCreate({ type: 'passkey-append', data: { displayName: 'Ada', identifier } }));
    assert.match(token.id, /^ctk-\d+$/);
    assert.match(token.secret, /^ctk1_[A-Za-z0-9]{30}$/);
    assert.equal(token.connectTokenStatus, 'initial');
    const listed = (await data(connectTokens.connectTokenList('expires:desc', ['tokenType:eq:passkey-append'], 1, 1000))).connectTokens;
    assert.equal(listed.find((t) => t.id === token.id).secret, undefined);
    await data(connectTokens.connectTokenUpdate(token.id, { status: 'consumed' }));
    await fails(connectTokens.connectTokenUpdate(token.id, { status: 'initial' }), 400);
    await data(connectTokens.connectTokenDelete(token.id));
    await fails(connectTokens.connectTokenDelete(token.id), 400, 'connectTokenID: does not exist');
  });

  test('name what is wrong', async () => {
    await fails(connectTokens.connectTokenCreate({ type: 'passkey-append', data: { identifier: 'ada' } }), 400, 'data.displayName: cannot be blank');
    await fails(connectTokens.connectTokenCreate({ type: 'passkey-sing', data: { identifier: 'ada' } }), 400);
    await fails(connectTokens.connectTokenList('shoeSize:asc'), 400);
  });
});

describe('passkeys', () => {
  const flags = { forcePasskeyAppend: true };
  const parsedDeviceInfo = { browserName: 'Safari', browserVersion: '17.5', osName: 'iOS', osVersion: '17.5' };
  const info = { ...client, parsedDeviceInfo };

  test('are created, used and deleted', async () => {
    const { userID } = await user();
    const phone = device();
    const processID = unique('p');
    const start = await data(passkeys.passkeyAppendStart({ userID, processID, username: 'ada', clientInformation: info, passkeyIntelFlags: flags }));
    assert.equal(start.appendAllow, true);
    assert.ok(JSON.parse(start.attestationOptions).publicKey.challenge);
    const created = await data(passkeys.passkeyAppendFinish({ userID, processID, attestationResponse: phone.create(start), clientInformation: info }));
    assert.equal(created.passkeyData.userID, userID);

    const login = { userID, processID: unique('p'), clientInformation: info };
    const offer = await data(passkeys.passkeyLoginStart({ ...login, crossDeviceAuthenticationStrategy: 'standard' }));
    assert.equal(offer.loginAllow, true);
    assert.equal(offer.credentialCount, 1);
    const finished = await data(passkeys.passkeyLoginFinish({ ...login, assertionResponse: phone.get(offer), signPasskeyData: true }));
    assert.equal(finished.passkeyData.ceremonyType, 'local');
    const check = (body) => keyward.axiosClient.post('/passkey/verifySignedData', body).then((r) => r.data.verificationResult);
    const signed = finished.signedPasskeyData;
    assert.equal(await check({ signedPasskeyData: signed, username: 'mallory' }), 'user_mismatch');
    assert.equal(await check({ signedPasskeyData: `${signed.slice(0, -4)}AAAA` }), 'invalid_signature');
    assert.equal(await check({ signedPasskeyData: signed, username: finished.passkeyData.username }), 'success');
    assert.equal(await check({ signedPasskeyData: signed }), 'invalid_challenge');

    const mediation = await data(passkeys.passkeyMediationStart({ clientInformation: info, processID: unique('p') }));
    assert.equal(mediation.loginAllow, true);

    const { credentials } = await data(users.credentialList(userID));
    assert.equal(credentials.length, 1);
    await data(users.credentialDelete(userID, credentials[0].id));
    await fails(users.credentialDelete(userID, credentials[0].id), 400, 'credentialID: does not exist');
    assert.equal((await data(users.credentialList(userID))).paging.totalItems, 0);
  });

  test('signed data opens one session', async () => {
    const { userID } = await user();
    const phone = device();
    const processID = unique('p');
    const start = await data(passkeys.passkeyAppendStart({ userID, processID, username: 'ada', clientInformation: info, passkeyIntelFlags: flags }));
    await data(passkeys.passkeyAppendFinish({ userID, processID, attestationResponse: phone.create(start), clientInformation: info }));
    const login = { userID, processID: unique('p'), clientInformation: info };
    const offer = await data(passkeys.passkeyLoginStart({ ...login, crossDeviceAuthenticationStrategy: 'standard' }));
    const { signedPasskeyData } = await data(passkeys.passkeyLoginFinish({ ...login, assertionResponse: phone.get(offer), signPasskeyData: true }));
    const { session } = await data(keyward.axiosClient.post('/passkey/postLogin', { signedPasskeyData }));
    // The issuer is the project's host name or the configured URL, so the keys are fetched by hand.
    const keys = createRemoteJWKSet(new URL(`${base}/.well-known/jwks`), { headers: { 'X-Corbado-ProjectID': project } });
    assert.equal((await jwtVerify(session, keys, { algorithms: ['RS256'] })).payload.sub, userID);
    await fails(keyward.axiosClient.post('/passkey/postLogin', { signedPasskeyData }), 400);
    const listed = (await data(keyward.axiosClient.get('/sessions', { params: { 'filter[]': `userID:eq:${userID}` } }))).sessions;
    assert.equal(listed.length, 1);
    assert.equal(listed[0].status, 'active');
    await data(keyward.axiosClient.post(`/sessions/${listed[0].sessionID}/revoke`));
    const again = (await data(keyward.axiosClient.get('/sessions', { params: { 'filter[]': `userID:eq:${userID}` } }))).sessions;
    assert.equal(again[0].status, 'revoked');
  });

  test('name what is wrong', async () => {
    const { userID } = await user();
    const body = { userID, processID: 'p', clientInformation: info, crossDeviceAuthenticationStrategy: 'standard' };
    await fails(passkeys.passkeyLoginStart({ ...body, crossDeviceAuthenticationStrategy: 'sometimes' }), 400);
    await fails(passkeys.passkeyLoginFinish({ userID, processID: 'p', clientInformation: info, assertionResponse: '{}' }), 400);
    await fails(passkeys.passkeyAppendFinish({ userID, processID: 'p', clientInformation: info, attestationResponse: '{}' }), 400);
    await fails(passkeys.passkeyMediationFinish({ processID: 'p', clientInformation: info, assertionResponse: '{}' }), 400);
    await fails(passkeys.passkeyAppendStart({ userID: 'usr-123456789', processID: 'p', username: 'x', clientInformation: info, passkeyIntelFlags: flags }), 400, 'userID: does not exist');
  });
});

describe('passkey events', () => {
  test('are created, listed and deleted', async () => {
    const { userID } = await user();
    const created = await data(passkeyEvents.passkeyEventCreate(userID, { eventType: 'login-explicit-abort', processID: 'p' }));
    const listed = await data(passkeyEvents.passkeyEventList(userID, 'created:desc', ['eventType:eq:login-explicit-abort']));
    assert.deepEqual(listed.passkeyEvents, [created]);
    await data(passkeyEvents.passkeyEventDelete(userID, created.passkeyEventID));
    await fails(passkeyEvents.passkeyEventDelete(userID, created.passkeyEventID), 400, 'passkeyEventID: does not exist');
    await fails(passkeyEvents.passkeyEventCreate(userID, { eventType: 'login-whistle' }), 400);
    await fails(passkeyEvents.passkeyEventCreate('usr-123456789', { eventType: 'login-error' }), 400, 'userID: does not exist');
  });
});

describe('passkey challenges', () => {
  test('are listed and change their status forward', async () => {
    const { userID } = await user();
    const start = { userID, processID: unique('p'), username: 'ada', clientInformation: client, passkeyIntelFlags: { forcePasskeyAppend: true } };
    await data(passkeys.passkeyAppendStart(start));
    const [challenge] = (await data(passkeyChallenges.passkeyChallengeList(userID, '', ['status:eq:pending']))).passkeyChallenges;
    assert.equal(challenge.type, 'register');
    assert.equal((await data(passkeyChallenges.passkeyChallengeUpdate(userID, challenge.challengeID, { status: 'consumed' }))).status, 'consumed');
    await fails(passkeyChallenges.passkeyChallengeUpdate(userID, challenge.challengeID, { status: 'pending' }), 400);
    await fails(passkeyChallenges.passkeyChallengeUpdate(userID, 'was-123456789', { status: 'consumed' }), 400);
  });
});

describe('project configuration', () => {
  test('keeps the host name of the Frontend API', async () => {
    await data(projectConfig.projectConfigUpdateCNAME({ cname: `${unique('auth')}.example.com` }));
    await fails(projectConfig.projectConfigUpdateCNAME({ cname: 'not a host' }), 400);
  });
});

describe('long sessions', () => {
  test('are created, read and ended', async () => {
    const [owner, other] = [await user(), await user()];
    const created = await data(sessions.longSessionCreate(owner.userID, { appType: 'web', identifierValue: 'ada@example.com' }));
    assert.match(created.longSessionID, /^[A-Za-z0-9]{30}$/);
    assert.equal(created.status, 'active');
    assert.deepEqual(await data(sessions.longSessionGet(created.longSessionID)), created);
    assert.deepEqual(await data(sessions.userLongSessionGet(owner.userID, created.longSessionID)), created);
    await fails(sessions.userLongSessionGet(other.userID, created.longSessionID), 400, 'longSessionID: does not exist');
    await fails(sessions.longSessionGet('A'.repeat(30)), 400, 'longSessionID: does not exist');
    await fails(sessions.longSessionCreate('usr-123456789', { appType: 'web', identifierValue: 'x' }), 400, 'userID: does not exist');
    assert.equal((await data(sessions.longSessionUpdate(owner.userID, created.longSessionID, { status: 'logged_out' }))).status, 'logged_out');
    await fails(sessions.shortSessionCreate(owner.userID, created.longSessionID, { appType: 'web', issuer: 'https://example.com' }), 400);
  });
});
