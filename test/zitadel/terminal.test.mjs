// curl and grpcurl, as a person uses them.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { device, grpc, grpcurl, http, login, newUser, run, token } from './server.mjs';

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

test('bad calls with curl', async () => {
  const user = await newUser();
  const path = `/v2/users/${user}/passkeys`;
  assert.deepEqual(await curl('GET', path), [405, { code: 12, message: 'Method Not Allowed' }]);
  assert.deepEqual(await curl('POST', `${path}/a/b`, {}), [404, { code: 5, message: 'Not Found' }]);
  assert.deepEqual(await curl('POST', path, {}, { headers: [] }), [401, { code: 16, message: 'auth header missing' }]);
  const [malformed, said] = await curl('POST', path, '{"authenticator": <script>');
  assert.deepEqual([malformed, said.code, said.message.includes('script')], [400, 3, false]);
  assert.deepEqual(await curl('POST', `${path}/cre-1`, { publicKeyCredential: {}, passkeyName: 'a' }), [400, {
    code: 3, message: 'invalid VerifyPasskeyRegistrationRequest.PublicKeyCredential: value length must be between 55 and 1048576 characters, inclusive',
  }]);
});

test('grpcurl through reflection', async () => {
  const plain = ['-plaintext', '-H', `Authorization: Bearer ${token}`];
  const target = grpc.replace('http://', '');
  const list = (await run(grpcurl, ['-plaintext', target, 'list'])).split('\n');
  for (const service of ['grpc.health.v1.Health', 'zitadel.user.v2.UserService', 'zitadel.user.v2beta.UserService']) assert.ok(list.includes(service), list.join());
  assert.match(await run(grpcurl, ['-plaintext', target, 'describe', 'zitadel.user.v2.RegisterPasskeyRequest']), /string domain = 4/);
  const user = await newUser();
  const answer = JSON.parse(await run(grpcurl, [...plain, '-d', JSON.stringify({ userId: user }), target, 'zitadel.user.v2.UserService/ListPasskeys']));
  assert.match(answer.details.processedSequence, /^[0-9]+$/);
  assert.deepEqual(JSON.parse(await run(grpcurl, ['-plaintext', target, 'grpc.health.v1.Health/Check'])), { status: 'SERVING' });
  await assert.rejects(run(grpcurl, [...plain, '-d', '{"userId": "usr-1"}', target, 'zitadel.user.v2.UserService/ListPasskeys']), /NotFound[^]*QUERY-Dfbg2/);
});
