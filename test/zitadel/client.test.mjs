// The client that existing backends use, over each protocol and in both versions, against a running Keyward.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Code, ConnectError } from '@connectrpc/connect';
import { createClientFor } from '@zitadel/client';
import { createServerTransport } from '@zitadel/client/node';
import { createUserServiceClient } from '@zitadel/client/v2';
import { createClientTransport } from '@zitadel/client/web';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { UserService as BetaUserService } from '@zitadel/proto/zitadel/user/v2beta/user_service_pb.js';
import { PasskeyAuthenticator } from '@zitadel/proto/zitadel/user/v2/auth_pb.js';
import { AuthFactorState } from '@zitadel/proto/zitadel/user/v2/user_pb.js';
import { ErrorDetailSchema } from '@zitadel/proto/zitadel/message_pb.js';
import { device, eventTypes, grpc, http, login, newIssuer, newUser, project, token } from './server.mjs';

const bearer = (value) => [(next) => (request) => { request.header.set('Authorization', `Bearer ${value}`); return next(request); }];

// Each is a way to reach the service with a token.
const transports = {
  'gRPC': (value) => createServerTransport(value, { baseUrl: grpc }),
  'gRPC-web on the HTTP port': (value) => createClientTransport(value, { baseUrl: http }),
  'gRPC-web on the gRPC port': (value) => createGrpcWebTransport({ baseUrl: grpc, httpVersion: '1.1', interceptors: bearer(value) }),
  'Connect on the HTTP port': (value) => createConnectTransport({ baseUrl: http, httpVersion: '1.1', interceptors: bearer(value) }),
  'Connect with JSON': (value) => createConnectTransport({ baseUrl: http, httpVersion: '1.1', useBinaryFormat: false, interceptors: bearer(value) }),
  'Connect over HTTP/2 on the gRPC port': (value) => createConnectTransport({ baseUrl: grpc, httpVersion: '2', interceptors: bearer(value) }),
};

// fails resolves to what a call fails with.
async function fails(call, code) {
  const error = await call.then(() => assert.fail('it succeeded'), (e) => ConnectError.from(e));
  assert.equal(error.code, code, error.message);
  return error;
}

async function failsWith(call, code, id) {
  const error = await fails(call, code);
  const details = error.findDetails(ErrorDetailSchema);
  assert.deepEqual(details.map((d) => d.id), [id], error.message);
  assert.equal(error.rawMessage, `${details[0].message} (${id})`);
}

const ms = (timestamp) => Number(timestamp.seconds) * 1000;

for (const [name, transport] of Object.entries(transports)) {
  test(`v2 over ${name}`, async () => {
    const users = createUserServiceClient(transport(token));
    const userId = await newUser();
    const phone = await device();
    const empty = await users.listPasskeys({ userId });
    assert.deepEqual([empty.result.length, empty.details.totalResult], [0, 0n]);

    const begun = await users.registerPasskey({ userId, authenticator: PasskeyAuthenticator.PLATFORM });
    const options = begun.publicKeyCredentialCreationOptions;
    assert.equal(options.publicKey.authenticatorSelection.authenticatorAttachment, 'platform');
    assert.equal(options.publicKey.timeout, 300000);
    assert.equal(begun.details.resourceOwner, project);
    const passkeyName = 'Adas Telefon 🔑';
    const done = await users.verifyPasskeyRegistration({ userId, passkeyId: begun.passkeyId, publicKeyCredential: await phone.create(options), passkeyName });
    assert.ok(done.details.sequence > begun.details.sequence);
    assert.ok(ms(done.details.changeDate) >= ms(done.details.creationDate));

    const listed = await users.listPasskeys({ userId });
    assert.deepEqual(listed.result.map(({ id, name, state }) => ({ id, name, state })), [{ id: begun.passkeyId, name: passkeyName, state: AuthFactorState.READY }]);
    assert.equal(listed.details.totalResult, 1n);
    assert.equal(listed.details.processedSequence, done.details.sequence);
    assert.equal(await login(userId, phone), begun.passkeyId);
    assert.ok((await eventTypes(userId)).includes('append-completed'));

    const { code } = await users.createPasskeyRegistrationLink({ userId, medium: { case: 'returnCode', value: {} } });
    const again = await users.registerPasskey({ userId, code, authenticator: PasskeyAuthenticator.CROSS_PLATFORM });
    assert.equal(again.publicKeyCredentialCreationOptions.publicKey.excludeCredentials.length, 1);
    await failsWith(users.registerPasskey({ userId, code }), Code.InvalidArgument, 'COMMAND-Eeb2a');
    await failsWith(users.createPasskeyRegistrationLink({ userId, medium: { case: 'sendLink', value: {} } }), Code.FailedPrecondition, 'USER-NoEmail');

    await users.removePasskey({ userId, passkeyId: again.passkeyId });
    await users.removePasskey({ userId, passkeyId: begun.passkeyId });
    await failsWith(users.removePasskey({ userId, passkeyId: begun.passkeyId }), Code.NotFound, 'PASSKEY-Unknown');
    await failsWith(users.listPasskeys({ userId: '163840776835432705' }), Code.NotFound, 'QUERY-Dfbg2');
    const invalid = await fails(users.listPasskeys({ userId: '' }), Code.InvalidArgument);
    assert.deepEqual([invalid.rawMessage, invalid.details.length], ['invalid ListPasskeysRequest.UserId: value length must be between 1 and 200 runes, inclusive', 0]);
  });

  test(`v2beta over ${name}`, async () => {
    const users = createClientFor(BetaUserService)(transport(token));
    const userId = await newUser();
    const phone = await device();
    const { code } = await users.createPasskeyRegistrationLink({ userId, medium: { case: 'returnCode', value: {} } });
    const begun = await users.registerPasskey({ userId, code, authenticator: PasskeyAuthenticator.PLATFORM, domain: 'localhost' });
    const done = await users.verifyPasskeyRegistration({
      userId, passkeyId: begun.passkeyId, publicKeyCredential: await phone.create(begun.publicKeyCredentialCreationOptions), passkeyName: 'fido key',
    });
    assert.ok(done.details.sequence > begun.details.sequence);
    assert.equal(await login(userId, phone), begun.passkeyId);
    await failsWith(users.registerPasskey({ userId, domain: 'example.org' }), Code.InvalidArgument, 'PASSKEY-Domain');
  });

  test(`who calls over ${name}`, async () => {
    const issuer = await newIssuer();
    const [userId, other] = [await newUser(), await newUser()];
    const as = (value) => createUserServiceClient(transport(value));
    assert.ok((await as(await issuer.token(userId)).registerPasskey({ userId })).passkeyId);
    await failsWith(as(await issuer.token(userId)).registerPasskey({ userId: other }), Code.PermissionDenied, 'AUTH-Bohd2');
    assert.ok((await as(await issuer.token(userId, { permissions: ['passkeys:append'] })).registerPasskey({ userId: other })).passkeyId);
    await fails(as(await issuer.token(userId, { scope: 'openid' })).registerPasskey({ userId }), Code.PermissionDenied);
    await fails(as(await issuer.token(userId, { expires: '-5m' })).registerPasskey({ userId }), Code.Unauthenticated);
    await fails(as(await issuer.token(userId, { audience: 'somebody' })).registerPasskey({ userId }), Code.Unauthenticated);
    await fails(as('kwk1_1_abc_def').registerPasskey({ userId }), Code.Unauthenticated);
  });
}

test('without a token', async () => {
  for (const transport of [
    createGrpcTransport({ baseUrl: grpc }), createGrpcWebTransport({ baseUrl: http, httpVersion: '1.1' }), createConnectTransport({ baseUrl: http, httpVersion: '1.1' }),
  ]) {
    const missing = await fails(createUserServiceClient(transport).registerPasskey({ userId: 'usr-1' }), Code.Unauthenticated);
    assert.deepEqual([missing.rawMessage, missing.details.length], ['auth header missing', 0]);
  }
});
