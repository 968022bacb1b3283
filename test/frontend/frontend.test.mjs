// Whole stories of users, each on a device of its own. They are told in one process, since they share the website and Keyward.
import { after, before, describe } from 'node:test';
import { prepare } from './prepare.mjs';
import { openSite } from './site.mjs';
import { completeStories } from './complete.mjs';

let close;
before(async () => {
  await prepare();
  close = await openSite();
});
after(() => close?.());

describe('sign-up and login with web-core', completeStories);
