// What is more than chance. It is plain JavaScript so that its test reads it as it is.

/**
 * How many standard errors two shares are apart: below three it may well be chance.
 * @param {{part: number, of: number}} a
 * @param {{part: number, of: number}} b
 */
export function apart(a, b) {
  const pooled = (a.part + b.part) / (a.of + b.of);
  const error = Math.sqrt(pooled * (1 - pooled) * (1 / a.of + 1 / b.of));
  return error === 0 ? 0 : (a.part / a.of - b.part / b.of) / error;
}

/**
 * @typedef {{start: number, part: number, of: number}} Slot
 * @typedef {{from: number, until: number, part: number, of: number, usual: number}} Spike
 */

const away = 5; // standard errors: of some hundred slots, none is so far away by chance in a year of looking
const least = 10; // cases; of fewer, nobody needs to hear

/**
 * The slots in which the share of a part was more than chance above that of all others; neighbours are one.
 * @param {Slot[]} slots
 * @param {number} width in ms
 * @returns {Spike[]} the largest first
 */
export function spikes(slots, width) {
  const sum = (/** @type {Slot[]} */ of) => of.reduce((all, s) => ({ part: all.part + s.part, of: all.of + s.of }), { part: 0, of: 0 });
  /** @type {Spike[]} */
  const found = [];
  let calm = slots;
  // A large spike hides smaller ones in what it is compared with: what was found is left out, and the rest looked through again.
  for (let turn = 0; turn < 5; turn++) {
    const all = sum(calm);
    const above = calm.filter((s) => s.part >= least && all.of > s.of && apart(s, { part: all.part - s.part, of: all.of - s.of }) >= away);
    if (above.length === 0) break;
    calm = calm.filter((s) => !above.includes(s));
    found.push(...above.map((s) => ({ from: s.start, until: s.start + width, part: s.part, of: s.of, usual: 0 })));
  }
  const rest = sum(calm);
  const usual = rest.of ? rest.part / rest.of : 0;
  found.sort((a, b) => a.from - b.from);
  /** @type {Spike[]} */
  const joined = [];
  for (const spike of found) {
    const last = joined.at(-1);
    if (last && last.until === spike.from) Object.assign(last, { until: spike.until, part: last.part + spike.part, of: last.of + spike.of });
    else joined.push({ ...spike });
  }
  return joined.map((s) => ({ ...s, usual })).sort((a, b) => b.part - a.part);
}
