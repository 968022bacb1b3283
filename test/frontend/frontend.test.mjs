// Whole stories of users, each on a device of its own. They are told in one process, since they share the website and Keyward.
import { after, before, describe } from 'node:test';
import { attackStories } from './attacks.mjs';
import { completeStories } from './complete.mjs';
import { connectStories } from './connect.mjs';
import { elsewhereStories } from './elsewhere.mjs';
import { historyStories } from './history.mjs';
import { prepare } from './prepare.mjs';
import { openSite } from './site.mjs';

let close;
before(async () => {
  await prepare();
  close = await openSite();
});
after(() => close?.());

describe('sign-up and login with web-core', completeStories);
describe('what users did before', historyStories);
describe('passkeys of other devices', elsewhereStories);
describe('passkeys beside a login that exists, with connect-react', connectStories);
describe('what must not work', attackStories);
