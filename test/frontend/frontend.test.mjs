// Whole stories of users, each on a device of its own. They are told in one process, since they share the website and Keyward.
import { after, before, describe } from 'node:test';
import { attackStories, lastStories, unusualStories } from './attacks.mjs';
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

// Two at a time: a browser that starts or waits leaves a core idle.
const one = { concurrency: 1 };
describe('stories', { concurrency: 2 }, () => {
  describe('sign-up and login with web-core', one, completeStories);
  describe('what users did before', one, historyStories);
  describe('passkeys of other devices', one, elsewhereStories);
  describe('passkeys beside a login that exists, with connect-react', one, connectStories);
  describe('what must not work', one, attackStories);
  describe('unusual browsers', one, unusualStories);
});
describe('and in the end', lastStories);
