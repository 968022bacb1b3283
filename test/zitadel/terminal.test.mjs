// curl and buf, as a person uses them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buf, device, grpc, http, login, newUser, pageOrigin, run, token } from './server.mjs';

// curl resolves to the status and the JSON of an answer.
async function curl(method, path, body, { headers = ['Authorization: Bearer ' + token], base = http } = {}) {
  const args = ['-sS', '-X', method, '-w', '\n%{http_code}', base + path, ...headers.flatMap((h) => ['-H', h])];
  if (body !== undefined) args.push('-d', typeof body === 'string' ? body : JSON.stringify(body));
  const [, said, status] = (await run('curl', args)).match(/^([^]*)\n(\d+)$/);
  return [Number(status), said && JSON.parse(said)];
}

const detail = (id, message) => [{ '@type': 'type.googleapis.com/zitadel.v1.ErrorDetail', id, message }];

for (const base of [http, grpc]) {
  for (const version of ['v2', 'v2beta']) {
    test(`JSON with curl, ${version} at ${base === http ? 'the HTTP port' : 'the gRPC port'}`, async () => {
      const user = await newUser();
      const phone = await device();
      const call = (method, path, body) => curl(method, `/${version}/users/${user}/passkeys${path}`, body, { base });
      const [status, begun] = await call('POST', '', { authenticator: 'PASSKEY_AUTHENTICATOR_PLATFORM', unknown: true });
      assert.equal(status, 200, JSON.stringify(begun));
      assert.match(begun.details.sequence, /^[0-9]+$/);
      assert.match(begun.details.changeDate, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
      const publicKeyCredential = await phone.create(begun.publicKeyCredentialCreationOptions);
      const [verified] = await call('POST', `/${begun.passkeyId}`, { publicKeyCredential, passkeyName: 'fido key' });
      assert.equal(verified, 200);
      assert.equal(await login(user, phone), begun.passkeyId);
      const [, link] = await call('POST', '/registration_link', { returnCode: {} });
      assert.equal((await call('POST', '', { code: link.code }))[0], 200);
      const [reused, refusal] = await call('POST', '', { code: link.code });
      assert.deepEqual([reused, refusal.code, refusal.details[0].id], [400, 3, 'COMMAND-Eeb2a']);
      if (version === 'v2beta') return;
      const [, list] = await call('POST', '/_search');
      assert.deepEqual(list.result, [{ id: begun.passkeyId, state: 'AUTH_FACTOR_STATE_READY', name: 'fido key' }]);
      assert.equal((await call('DELETE', `/${begun.passkeyId}`))[0], 200);
      assert.deepEqual((await call('POST', '/_search'))[1].result, undefined);
      assert.deepEqual(await call('DELETE', `/${begun.passkeyId}`), [404, { code: 5, message: 'Passkey could not be found (PASSKEY-Unknown)', details: detail('PASSKEY-Unknown', 'Passkey could not be found') }]);
    });
  }
}

// As the documentation of the API shows it.
const example = {
  publicKeyCredential: {
    type: 'public-key', id: 'pawVarF4xPxLFmfCnRkwXWeTrKGzabcAi92LEI1WC00', rawId: 'pawVarF4xPxLFmfCnRkwXWeTrKGzabcAi92LEI1WC00',
    response: {
      attestationObject: 'o2NmbXRmcGFja2VkZ2F0dFN0bXSiY2FsZyZjc2lnWEcwRQIgRKS3VpeE9tfExXRzkoUKnG4rQWPvtSSt4YtDGgTx32oCIQDPey-2YJ4uIg-QCM4jj6aE2U3tgMFM_RP7Efx6xRu3JGhhdXRoRGF0YVikSZYN5YgOjGh0NBcPZHZgW4_krrmihjLHmVzzuoMdl2NFAAAAADju76085Yhmlt1CEOHkwLQAIKWsFWqxeMT8SxZnwp0ZMF1nk6yhs2m3AIvdixCNVgtNpQECAyYgASFYIMGUDSP2FAQn2MIfPMy7cyB_Y30VqixVgGULTBtFjfRiIlggjUGfQo3_-CrMmH3S-ZQkFKWKnNBQEAMkFtG-9A4zqW0',
      clientDataJSON: 'eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIiwiY2hhbGxlbmdlIjoiQlhXdHh0WGxJeFZZa0pHT1dVaUVmM25zby02aXZKdWw2YmNmWHdMVlFIayIsIm9yaWdpbiI6Imh0dHBzOi8vbG9jYWxob3N0OjgwODAifQ',
    },
  },
  passkeyName: 'fido key',
};

test('the documented example gets a documented error', async () => {
  const user = await newUser();
  const pending = (await curl('POST', `/v2/users/${user}/passkeys`, {}))[1].passkeyId;
  for (const version of ['v2', 'v2beta']) {
    for (const [who, passkey, status, id] of [
      ['163840776835432705', '163840776835432705', 404, 'QUERY-Dfbg2'], [user, '163840776835432705', 404, 'PASSKEY-Unknown'], [user, 'cre-1', 404, 'PASSKEY-Unknown'], [user, pending, 400, 'PASSKEY-Credential'],
    ]) {
      const [got, said] = await curl('POST', `/${version}/users/${who}/passkeys/${passkey}`, example);
      assert.deepEqual([got, said.details?.[0].id], [status, id], JSON.stringify(said));
    }
  }
});

test('the documented request, sent as it is written, is refused in the documented form', async () => {
  const headers = ['Content-Type: application/json', 'Accept: application/json'];
  for (const version of ['v2', 'v2beta']) {
    const path = `/${version}/users/:userId/passkeys/:passkeyId`;
    const [unknown, refusal] = await curl('POST', path, example, { headers: [...headers, `Authorization: Bearer ${token}`] });
    assert.deepEqual([unknown, refusal], [404, { code: 5, message: 'User could not be found (QUERY-Dfbg2)', details: detail('QUERY-Dfbg2', 'User could not be found') }]);
    const [stranger, said] = await curl('POST', path, example, { headers: [...headers, 'Authorization: Bearer <TOKEN>'] });
    assert.deepEqual([stranger, said.code], [401, 16], JSON.stringify(said));
  }
});

test('a verb that a path does not have', async () => {
  const user = await newUser();
  for (const [version, path, verbs] of [
    ['v2', '', ['GET', 'PUT', 'PATCH', 'DELETE']], ['v2', '/cre-1', ['GET', 'PUT', 'PATCH']], ['v2', '/_search', ['GET', 'PUT']], ['v2', '/registration_link', ['GET', 'PUT']],
    ['v2beta', '', ['GET', 'DELETE']], ['v2beta', '/cre-1', ['GET', 'PUT', 'DELETE']], ['v2beta', '/registration_link', ['GET']],
  ]) {
    for (const verb of verbs) {
      assert.deepEqual(await curl(verb, `/${version}/users/${user}/passkeys${path}`), [405, { code: 12, message: 'Method Not Allowed' }], `${verb} ${version} ${path}`);
    }
  }
});

test('a body that is not what the path takes', async () => {
  const user = await newUser();
  for (const version of ['v2', 'v2beta']) {
    for (const [path, body] of [
      ['', '{"authenticator": <script>'], ['', '{"authenticator": 1.5}'], ['', '["script"]'], ['', '{"code": "script"}'], ['', '{"domain": 7, "script": 1}'],
      ['/cre-1', '{"publicKeyCredential": "script", "passkeyName": "a"}'], ['/cre-1', ''],
      ['/registration_link', '{"sendLink": {}, "returnCode": {}}'], ['/registration_link', '{"sendLink": "script"}'],
    ]) {
      const [status, said] = await curl('POST', `/${version}/users/${user}/passkeys${path}`, body);
      assert.deepEqual([status, said.code, JSON.stringify(said).includes('script')], [400, 3, false], `${version} ${path} ${body}: ${JSON.stringify(said)}`);
    }
  }
});

// corsOf resolves to the status of an answer and the origin whose pages may read it.
async function corsOf(...args) {
  const said = await run('curl', ['-sS', '-i', ...args]);
  return [Number(said.match(/^HTTP\/\S+ (\d+)/)[1]), said.match(/^access-control-allow-origin: (\S+)/im)?.[1]];
}

for (const [port, base] of [['HTTP', http], ['gRPC', grpc]]) {
  test(`pages of which origins the ${port} port lets read answers`, async () => {
    const user = await newUser();
    const [json, rpc] = [`${base}/v2/users/${user}/passkeys`, `${base}/zitadel.user.v2.UserService/RegisterPasskey`];
    const asks = ['-X', 'OPTIONS', '-H', 'Access-Control-Request-Method: POST', '-H', 'Access-Control-Request-Headers: authorization,content-type,x-grpc-web'];
    const as = (origin) => ['-H', `Origin: ${origin}`, '-H', `Authorization: Bearer ${token}`, '-H', 'Content-Type: application/json'];
    for (const url of [json, rpc]) {
      assert.deepEqual(await corsOf(...asks, '-H', `Origin: ${pageOrigin}`, url), [204, pageOrigin], url);
      assert.deepEqual(await corsOf(...asks, '-H', 'Origin: http://elsewhere.example', url), [403, undefined], url);
      assert.deepEqual(await corsOf(...as('http://elsewhere.example'), '-d', JSON.stringify({ userId: user }), url), [403, undefined], url);
      assert.deepEqual(await corsOf(...as(pageOrigin), '-d', JSON.stringify({ userId: user }), url), [200, pageOrigin], url);
    }
  });
}

test('bad calls with curl', async () => {
  const user = await newUser();
  const path = `/v2/users/${user}/passkeys`;
  assert.deepEqual(await curl('POST', `${path}/a/b`, {}), [404, { code: 5, message: 'Not Found' }]);
  assert.deepEqual(await curl('POST', path, {}, { headers: [] }), [401, { code: 16, message: 'auth header missing' }]);
  assert.deepEqual(await curl('POST', `${path}/cre-1`, { publicKeyCredential: {}, passkeyName: 'a' }), [400, {
    code: 3, message: 'invalid VerifyPasskeyRegistrationRequest.PublicKeyCredential: value length must be between 55 and 1048576 characters, inclusive',
  }]);
});

test('buf curl over gRPC, through reflection', async () => {
  const ask = (method, ...args) => run(buf, ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', ...args, `${grpc}/${method}`]);
  const list = (await run(buf, ['curl', '--http2-prior-knowledge', '--list-services', grpc])).split('\n');
  for (const service of ['grpc.health.v1.Health', 'zitadel.user.v2.UserService', 'zitadel.user.v2beta.UserService']) assert.ok(list.includes(service), list.join());
  const methods = await run(buf, ['curl', '--http2-prior-knowledge', '--list-methods', grpc]);
  assert.deepEqual(methods.trim().split('\n').filter((method) => method.startsWith('zitadel.user.v2.')), [
    'CreatePasskeyRegistrationLink', 'ListPasskeys', 'RegisterPasskey', 'RemovePasskey', 'VerifyPasskeyRegistration',
  ].map((method) => `zitadel.user.v2.UserService/${method}`));
  const mine = ['-H', `Authorization: Bearer ${token}`];
  const user = JSON.stringify({ userId: await newUser() });
  const answer = JSON.parse(await ask('zitadel.user.v2.UserService/ListPasskeys', ...mine, '-d', user));
  assert.match(answer.details.processedSequence, /^[0-9]+$/);
  assert.deepEqual(JSON.parse(await ask('grpc.health.v1.Health/Check')), { status: 'SERVING' });
  await assert.rejects(ask('zitadel.user.v2.UserService/ListPasskeys', '-d', user), /unauthenticated[^]*auth header missing/);
  await assert.rejects(ask('zitadel.user.v2.UserService/ListPasskeys', ...mine, '-d', '{"userId": "usr-1"}'), /not_found[^]*QUERY-Dfbg2/);
});
