// The descriptors of the server beside those that published clients are generated from: whatever of the passkey part a client can see is the same.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { createFileRegistry, fromBinary, getOption } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { http as binding } from '@zitadel/proto/google/api/annotations_pb.js';
import { ErrorDetailSchema } from '@zitadel/proto/zitadel/message_pb.js';
import { UserService } from '@zitadel/proto/zitadel/user/v2/user_service_pb.js';
import { UserService as BetaUserService } from '@zitadel/proto/zitadel/user/v2beta/user_service_pb.js';
import { descriptors } from './server.mjs';

const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, await readFile(descriptors)));

// shapeOf returns what is on the wire of a message and of all messages and enums that it holds.
function shapeOf(message, into = {}) {
  if (into[message.typeName] || message.typeName.startsWith('google.protobuf.')) return into;
  into[message.typeName] = message.fields.map((f) => [f.name, f.jsonName, f.number, f.fieldKind, f.scalar ?? f.message?.typeName ?? f.enum?.typeName, f.oneof?.name ?? '', f.presence].join(' ')).sort();
  for (const f of message.fields) {
    if (f.message) shapeOf(f.message, into);
    if (f.enum) into[f.enum.typeName] = f.enum.values.map((v) => `${v.name} ${v.number}`);
  }
  return into;
}

function methodOf(method) {
  const { pattern, body } = getOption(method, binding);
  return { kind: method.methodKind, http: `${pattern.case} ${pattern.value}`, body, input: shapeOf(method.input), output: shapeOf(method.output) };
}

const names = { [UserService.typeName]: ['registerPasskey', 'verifyPasskeyRegistration', 'createPasskeyRegistrationLink', 'listPasskeys', 'removePasskey'],
  [BetaUserService.typeName]: ['registerPasskey', 'verifyPasskeyRegistration', 'createPasskeyRegistrationLink'] };

for (const theirs of [UserService, BetaUserService]) {
  const ours = registry.getService(theirs.typeName);
  test(`${theirs.typeName} has the methods`, () => assert.deepEqual(ours.methods.map((m) => m.localName).sort(), [...names[theirs.typeName]].sort()));
  for (const name of names[theirs.typeName]) {
    test(`${theirs.typeName}/${name} is the same`, () => assert.deepEqual(methodOf(ours.method[name]), methodOf(theirs.method[name])));
  }
}

test('the detail of errors is the same', () => assert.deepEqual(shapeOf(registry.getMessage('zitadel.v1.ErrorDetail')), shapeOf(ErrorDetailSchema)));
