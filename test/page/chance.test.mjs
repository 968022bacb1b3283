// What the console calls more than chance.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apart, spikes } from '../../web/src/console/chance.js';

const hour = 3_600_000;
const slots = (parts, of = 100) => parts.map((part, n) => ({ start: n * hour, part, of }));

test('two shares are as many standard errors apart as they are', () => {
  assert.equal(apart({ part: 5, of: 10 }, { part: 50, of: 100 }), 0);
  assert.ok(Math.abs(apart({ part: 30, of: 100 }, { part: 10, of: 100 }) - 3.54) < 0.01);
  assert.equal(apart({ part: 0, of: 10 }, { part: 0, of: 10 }), 0);
});

for (const [name, given, want] of [
  ['nothing is no spike', slots([]), []],
  ['hours that are alike are none', slots([3, 2, 4, 3, 2, 3, 4, 2]), []],
  ['few cases are none, however large their share is', [...slots([0, 0, 0, 0, 0, 0]), { start: 6 * hour, part: 9, of: 9 }], []],
  ['an hour of an attack is one', slots([2, 3, 60, 2, 3, 1]), [[2, 3, 60]]],
  ['hours beside each other are one', slots([2, 3, 60, 50, 2, 3, 1, 2]), [[2, 4, 110]]],
  ['a small spike is seen beside a large one', [...slots([2, 3, 2, 3, 2, 3, 2, 3, 2, 3, 2, 25]), { start: 20 * hour, part: 9000, of: 9500 }], [[20, 21, 9000], [11, 12, 25]]],
  ['more traffic with the same share is none', [...slots([2, 2, 2, 2]), { start: 5 * hour, part: 200, of: 10_000 }], []],
]) {
  test(name, () => {
    assert.deepEqual(spikes(given, hour).map((s) => [s.from / hour, s.until / hour, s.part]), want);
  });
}
