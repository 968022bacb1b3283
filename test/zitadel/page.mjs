// A page on which a user adds a passkey, as a customer's frontend would have it. The suite bundles it and calls addPasskey.
import { createClient } from '@connectrpc/connect';
import { createConnectTransport, createGrpcWebTransport } from '@connectrpc/connect-web';
import { UserService } from '@zitadel/proto/zitadel/user/v2/user_service_pb.js';

const kinds = { 'gRPC-web': createGrpcWebTransport, Connect: createConnectTransport };

window.addPasskey = async ({ kind, baseUrl, token, userId, passkeyName }) => {
  const bearer = (next) => (request) => { request.header.set('Authorization', `Bearer ${token}`); return next(request); };
  const users = createClient(UserService, kinds[kind]({ baseUrl, interceptors: [bearer] }));
  try {
    const { passkeyId, publicKeyCredentialCreationOptions } = await users.registerPasskey({ userId });
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(publicKeyCredentialCreationOptions.publicKey);
    const credential = await navigator.credentials.create({ publicKey });
    await users.verifyPasskeyRegistration({ userId, passkeyId, publicKeyCredential: credential.toJSON(), passkeyName });
    const { result } = await users.listPasskeys({ userId });
    return { passkeyId, names: result.map((p) => p.name) };
  } catch (error) {
    return { error: String(error) };
  }
};
