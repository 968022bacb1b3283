// The methods that the SDK offers, each with what it must do and how it must fail.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, describe, test } from 'node:test';
import { UserStatus, IdentifierType, IdentifierStatus } from './node_modules/@corbado/node-sdk/esm/generated/api.js';
import { SessionsApi } from './node_modules/@corbado/node-sdk/esm/generated/api.js';
import { Config, SDK } from '@corbado/node-sdk';
import { ServerError, ValidationError } from '@corbado/node-sdk/errors';
import { base, home, sdk, secret, unique } from './server.mjs';

const keyward = sdk();
const made = [];

async function user(fullName = unique('Ada ')) {
  const created = await keyward.users().createActiveByName(fullName);
  made.push(created.userID);
  return created;
}

after(async () => {
  for (const id of made) await keyward.users().delete(id).catch(() => {});
});

// refused expects a ServerError with a status, and one of its messages in the words that callers look for.
function refused(status, message) {
  return (error) => {
    assert.ok(error instanceof ServerError, `${error.name}: ${error.message}`);
    assert.equal(error.getHttpStatusCode(), status);
    if (message) assert.deepEqual(error.getValidationMessages(), [message]);
    assert.match(error.getRequestId(), /^req-\d+$/);
    assert.equal(typeof error.getRuntime(), 'number');
    return true;
  };
}

describe('users', () => {
  test('create keeps name and status', async () => {
    const created = await keyward.users().create({ fullName: 'Grace Hopper', status: UserStatus.Pending });
    made.push(created.userID);
    assert.match(created.userID, /^usr-\d+$/);
    assert.equal(created.fullName, 'Grace Hopper');
    assert.equal(created.status, 'pending');
  });

  test('createActiveByName makes an active user', async () => {
    assert.equal((await user('Katherine Johnson')).status, 'active');
  });

  test('create refuses a status that there is not', async () => {
    await assert.rejects(keyward.users().create({ fullName: 'x', status: 'asleep' }), refused(400));
  });

  test('get returns what create returned', async () => {
    const created = await user();
    assert.deepEqual(await keyward.users().get(created.userID), created);
  });

  test('get of an unknown user says so', async () => {
    await assert.rejects(keyward.users().get('usr-123456789'), refused(400, 'userID: does not exist'));
  });

  test('get of what is no user ID says so', async () => {
    await assert.rejects(keyward.users().get('123'), refused(400));
  });

  test('a deleted user is gone, and a second deletion does no harm', async () => {
    const created = await user();
    assert.equal((await keyward.users().delete(created.userID)).httpStatusCode, 200);
    await assert.rejects(keyward.users().get(created.userID), refused(400, 'userID: does not exist'));
  });

  test('delete of an unknown user says so', async () => {
    await assert.rejects(keyward.users().delete('usr-123456789'), refused(400, 'userID: does not exist'));
  });

  test('a wrong secret is a login error', async () => {
    await assert.rejects(sdk('corbado1_wrong').users().get('usr-1'), (error) => {
      refused(401)(error);
      assert.equal(error.getError().type, 'login_error');
      return true;
    });
  });

  test('an unknown project is a login error', async () => {
    await assert.rejects(sdk(undefined, 'pro-987654321').users().get('usr-1'), refused(401));
  });
});

describe('identifiers', () => {
  const email = () => `${unique('ada')}@example.com`;
  const create = (owner, value, status = IdentifierStatus.Verified, type = IdentifierType.Email) =>
    keyward.identifiers().create(owner, { identifierType: type, identifierValue: value, status });

  test('create keeps type, value, status and owner', async () => {
    const owner = await user();
    const value = email();
    const created = await create(owner.userID, value);
    assert.match(created.identifierID, /^ide-\d+$/);
    assert.deepEqual(created, { identifierID: created.identifierID, type: 'email', value, status: 'verified', userID: owner.userID });
  });

  test('phone numbers and user names are identifiers too', async () => {
    const owner = await user();
    const phone = `+49151${Math.floor(1e7 + Math.random() * 8e7)}`;
    assert.equal((await create(owner.userID, phone, IdentifierStatus.Primary, IdentifierType.Phone)).type, 'phone');
    assert.equal((await create(owner.userID, unique('ada_'), IdentifierStatus.Primary, IdentifierType.Username)).type, 'username');
  });

  test('a blank value is named', async () => {
    const owner = await user();
    await assert.rejects(create(owner.userID, ''), refused(400, 'identifierValue: cannot be blank'));
  });

  test('what is no email address is refused', async () => {
    const owner = await user();
    await assert.rejects(create(owner.userID, 'nobody'), refused(400));
  });

  test('an unknown user is named', async () => {
    await assert.rejects(create('usr-123456789', email()), refused(400, 'userID: does not exist'));
  });

  test('an identifier belongs to one user', async () => {
    const [first, second, value] = [await user(), await user(), email()];
    await create(first.userID, value);
    await assert.rejects(create(second.userID, value.toUpperCase()), (error) => {
      assert.equal(error.getHttpStatusCode(), 409);
      assert.equal(error.getError().type, 'already_exists');
      assert.equal(error.getError().validation[0].field, 'identifierValue');
      return true;
    });
  });

  test('of many that create it at once one succeeds', async () => {
    const owners = await Promise.all(Array.from({ length: 8 }, () => user()));
    const value = email();
    const outcomes = await Promise.allSettled(owners.map((owner) => create(owner.userID, value)));
    assert.equal(outcomes.filter((o) => o.status === 'fulfilled').length, 1);
    const found = await keyward.identifiers().listByValueAndType(value, IdentifierType.Email);
    assert.equal(found.identifiers.length, 1);
  });

  test('listByValueAndType finds what has just been created', async () => {
    const owner = await user();
    const created = await create(owner.userID, email());
    const found = await keyward.identifiers().listByValueAndType(created.value, IdentifierType.Email);
    assert.deepEqual(found.identifiers, [created]);
    assert.deepEqual(found.paging, { page: 1, totalPages: 1, totalItems: 1 });
    assert.deepEqual((await keyward.identifiers().listByValueAndType(created.value, IdentifierType.Phone)).identifiers, []);
  });

  test('listByUserId and listByUserIdAndType find those of one user', async () => {
    const owner = await user();
    await user();
    const mail = await create(owner.userID, email());
    const name = await create(owner.userID, unique('ada_'), IdentifierStatus.Pending, IdentifierType.Username);
    const ids = (list) => list.identifiers.map((i) => i.identifierID).sort();
    assert.deepEqual(ids(await keyward.identifiers().listByUserId(owner.userID)), [mail.identifierID, name.identifierID].sort());
    assert.deepEqual(ids(await keyward.identifiers().listByUserIdAndType(owner.userID, IdentifierType.Username)), [name.identifierID]);
  });

  test('list pages to its end and sorts', async () => {
    const owner = await user();
    const values = [];
    for (let i = 0; i < 5; i += 1) values.push((await create(owner.userID, `${i}-${email()}`)).value);
    const seen = [];
    for (let page = 1; ; page += 1) {
      const answer = await keyward.identifiers().list([`userID:eq:${owner.userID}`], 'identifierValue:desc', page, 2);
      assert.equal(answer.paging.totalItems, 5);
      assert.equal(answer.paging.totalPages, 3);
      if (answer.identifiers.length === 0) break;
      seen.push(...answer.identifiers.map((i) => i.value));
    }
    assert.deepEqual(seen, values.sort().reverse());
  });

  test('list without arguments answers a first page of ten', async () => {
    const owner = await user();
    for (let i = 0; i < 11; i += 1) await create(owner.userID, email());
    const answer = await keyward.identifiers().list();
    assert.equal(answer.identifiers.length, 10);
    assert.equal(answer.paging.page, 1);
  });

  for (const [name, call, field] of [
    ['an unknown filter', () => keyward.identifiers().list(['shoeSize:eq:42']), 'filter[]'],
    ['a filter without operator', () => keyward.identifiers().list(['userID']), 'filter[]'],
    ['an unknown sort', () => keyward.identifiers().list([], 'shoeSize:asc'), 'shoeSize'],
    ['page 0', () => keyward.identifiers().list([], '', 0), 'page'],
    ['a page of ten million', () => keyward.identifiers().list([], '', 1, 10_000_000), 'pageSize'],
  ]) {
    test(`list refuses ${name}`, async () => {
      await assert.rejects(call(), (error) => {
        refused(400)(error);
        assert.ok(error.getError().validation[0].field.startsWith(field), error.message);
        return true;
      });
    });
  }

  test('updateStatus and updateIdentifier change the status', async () => {
    const owner = await user();
    const created = await create(owner.userID, email(), IdentifierStatus.Pending);
    assert.equal((await keyward.identifiers().updateStatus(owner.userID, created.identifierID, IdentifierStatus.Verified)).status, 'verified');
    assert.equal((await keyward.identifiers().updateIdentifier(owner.userID, created.identifierID, { status: IdentifierStatus.Primary })).status, 'primary');
    const listed = await keyward.identifiers().listByUserId(owner.userID);
    assert.equal(listed.identifiers[0].status, 'primary');
  });

  test('updateStatus names what is wrong', async () => {
    const owner = await user();
    const created = await create(owner.userID, email());
    await assert.rejects(keyward.identifiers().updateStatus(owner.userID, created.identifierID, 'asleep'), refused(400));
    await assert.rejects(keyward.identifiers().updateStatus(owner.userID, 'ide-123456789', IdentifierStatus.Verified), refused(400, 'identifierID: does not exist'));
    const other = await user();
    await assert.rejects(keyward.identifiers().updateStatus(other.userID, created.identifierID, IdentifierStatus.Verified), refused(400, 'identifierID: does not exist'));
  });

  test('a deleted identifier is free for others', async () => {
    const [first, second, value] = [await user(), await user(), email()];
    const created = await create(first.userID, value);
    assert.equal((await keyward.identifiers().delete(first.userID, created.identifierID)).httpStatusCode, 200);
    await assert.rejects(keyward.identifiers().delete(first.userID, created.identifierID), refused(400, 'identifierID: does not exist'));
    assert.equal((await create(second.userID, value)).userID, second.userID);
  });

  test('the identifiers of a deleted user are free for others', async () => {
    const [first, second, value] = [await user(), await user(), email()];
    await create(first.userID, value);
    await keyward.users().delete(first.userID);
    assert.equal((await create(second.userID, value)).userID, second.userID);
  });
});

describe('sessions', () => {
  const sessions = new SessionsApi(undefined, '', keyward.axiosClient);
  const atHome = sdk(undefined, undefined, home);
  const token = async (issuer) => {
    const owner = await user('Ada Lovelace');
    const long = (await sessions.longSessionCreate(owner.userID, { appType: 'web', identifierValue: 'ada@example.com' })).data;
    const short = (await sessions.shortSessionCreate(owner.userID, long.longSessionID, { appType: 'web', issuer })).data;
    return { owner, value: short.value };
  };

  test('validateToken accepts a token of Keyward, with keys that it fetched from Keyward', async () => {
    const { owner, value } = await token(home);
    assert.deepEqual(await atHome.sessions().validateToken(value), { userId: owner.userID, fullName: 'Ada Lovelace' });
  });

  for (const name of ['backend', 'sdks']) {
    test(`validateToken accepts a token of Keyward in an SDK that is made as docs/${name}.md says`, async () => {
      const document = readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8');
      const [written] = /new SDK\(new Config\(.*\)\)/.exec(document);
      const here = written.replace('http://localhost:8080', home).replace('http://127.0.0.1:8080', base);
      const made = new Function('SDK', 'Config', 'process', `return ${here}`)(SDK, Config, { env: { API_SECRET: secret } });
      const { owner, value } = await token(home);
      assert.deepEqual(await made.sessions().validateToken(value), { userId: owner.userID, fullName: 'Ada Lovelace' });
      assert.equal((await made.users().get(owner.userID)).userID, owner.userID);
    });
  }

  test('validateToken refuses another issuer', async () => {
    const { value } = await token(home); // as an SDK sees it that was told the address in another way
    await assert.rejects(keyward.sessions().validateToken(value), (e) => e instanceof ValidationError && e.name === 'INVALID_ISSUER');
  });

  test('validateToken refuses a token that was changed', async () => {
    const { value } = await token(home);
    const [header, payload, signature] = value.split('.');
    const claims = JSON.parse(Buffer.from(payload, 'base64url'));
    claims.sub = 'usr-1';
    const forged = [header, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
    await assert.rejects(atHome.sessions().validateToken(forged), (e) => e instanceof ValidationError && e.name === 'JWT_INVALID');
  });

  test('validateToken refuses what is no token', async () => {
    await assert.rejects(keyward.sessions().validateToken('short'), ValidationError);
    await assert.rejects(keyward.sessions().validateToken(''));
  });
});
