// What the rules of risk found: how often, why, and when it was more than chance.
import { answer, client, filters, type Schemas } from '../api';
import { spikes } from '../chance.js';
import { useLoad } from '../load';
import { Bar, Card, Empty, Shown, Table } from '../ui';
import { day, isoAgo, number, share } from '../words';

type Spike = ReturnType<typeof spikes>[number];
type By = 'reason' | 'verdict';

const counts = (by: By, of: Record<string, string>, signal: AbortSignal, unit?: 'hour' | 'day') =>
  answer(client.GET('/decisions/counts', { params: { query: { by, ...(unit && { unit }), 'filter[]': filters(of) } }, signal }));

const link = (of: Record<string, string>): string => `/console/decisions?${new URLSearchParams(of)}`;

const verdicts = ['allow', 'review', 'challenge', 'deny'] as const;
const doubted = ['deny', 'challenge', 'review'] as const;

export function Risk({ days }: { days: number }) {
  const loaded = useLoad(async (signal) => {
    const since = isoAgo(days * day);
    const told = await counts('verdict', { since }, signal);
    return { since, of: Object.fromEntries(told.counts.map((c) => [c.value, c.count])) };
  }, [days], 60_000);
  return (
    <Card title="Risk" span="one" hint="What the rules of risk said of logins, creations and other actions, by the index of decisions.">
      <Shown of={loaded}>
        {({ of, since }) => {
          const all = verdicts.reduce((sum, v) => sum + (of[v] ?? 0), 0);
          if (all === 0) return <Empty>No rule of risk has judged anything.</Empty>;
          return (
            <>
              {verdicts.map((v) => <Bar key={v} label={v} text={`${number(of[v] ?? 0)} · ${share((of[v] ?? 0) / all)}`} of={(of[v] ?? 0) / all} tone={v === 'allow' ? 'accent' : 'other'} />)}
              <p class="small"><a href={link({ verdict: 'deny', since })}>See what was denied</a> · <a href={link({ verdict: 'challenge', since })}>and what was challenged</a></p>
            </>
          );
        }}
      </Shown>
    </Card>
  );
}

// -- why --

interface Reason { name: string; deny: number; challenge: number; review: number }

export function Reasons({ days }: { days: number }) {
  const loaded = useLoad(async (signal) => {
    const since = isoAgo(days * day);
    const found = new Map<string, Reason>();
    const all = await Promise.all(doubted.map((verdict) => counts('reason', { verdict, since }, signal)));
    doubted.forEach((verdict, n) => all[n]!.counts.forEach(({ value, count }) => {
      const one = found.get(value) ?? { name: value, deny: 0, challenge: 0, review: 0 };
      found.set(value, { ...one, [verdict]: count });
    }));
    const sum = (r: Reason) => r.deny + r.challenge + r.review;
    return { since, reasons: [...found.values()].sort((a, b) => sum(b) - sum(a)) };
  }, [days], 60_000);
  return (
    <Card title="Top reasons of risk" hint="Of what was denied, challenged or left to review. Why nothing was offered is among them. A decision for several reasons is in each row of theirs.">
      <Shown of={loaded}>
        {({ reasons, since }) => (
          <Table
            caption="Reasons of risk" name="reasons" rows={reasons} perPage={8} identify={(r) => r.name} find={false} empty="Nothing was doubted."
            columns={[
              { label: 'Reason', value: (r) => r.name, cell: (r) => <code>{r.name}</code> },
              ...doubted.map((verdict) => ({
                label: { deny: 'Denied', challenge: 'Challenged', review: 'To review' }[verdict], numeric: true, value: (r: Reason) => r[verdict],
                cell: (r: Reason) => (r[verdict] ? <a href={link({ reason: r.name, verdict, since })}>{number(r[verdict])}</a> : '–'),
              })),
            ]}
          />
        )}
      </Shown>
    </Card>
  );
}

// -- spikes --

const past: Record<typeof doubted[number], string> = { deny: 'denied', challenge: 'challenged', review: 'left to review' };

interface Told extends Spike { verdict: typeof doubted[number]; reasons: Schemas['DecisionCount'][] }

const mostTold = 4;

/** What links to decisions of a time: the first moment is in it, the last is not. */
const within = (s: { from: number; until: number }): { since: string; until: string } => ({ since: new Date(s.from - 1).toISOString(), until: new Date(s.until).toISOString() });

export function Spikes({ days }: { days: number }) {
  const unit = days <= 7 ? 'hour' as const : 'day' as const;
  const loaded = useLoad(async (signal) => {
    const told = await counts('verdict', { since: isoAgo(days * day) }, signal, unit);
    const at = new Map<number, Record<string, number>>();
    for (const c of told.counts) {
      const start = Date.parse(c.start!);
      at.set(start, { ...at.get(start), [c.value]: c.count });
    }
    const found: Told[] = [];
    for (const verdict of doubted) {
      const slots = [...at].map(([start, of]) => ({ start, part: of[verdict] ?? 0, of: Object.values(of).reduce((a, b) => a + b, 0) }));
      for (const spike of spikes(slots, unit === 'hour' ? 3_600_000 : day)) found.push({ ...spike, verdict, reasons: [] });
    }
    found.sort((a, b) => b.part - a.part);
    await Promise.all(found.slice(0, mostTold).map(async (s) => { s.reasons = (await counts('reason', { verdict: s.verdict, ...within(s) }, signal)).counts.slice(0, 2); }));
    return { found, slots: at.size };
  }, [days], 60_000);
  return (
    <Card title="Spikes" hint={`${unit === 'hour' ? 'Hours' : 'Days'} in which more was doubted than chance explains, against all others of this time.`}>
      <Shown of={loaded}>
        {({ found, slots }) => (found.length === 0 ? <Empty>{slots < 2 ? `There is nothing to compare with before two ${unit}s have passed.` : 'There was none.'}</Empty> : (
          <ul class="sentences">
            {found.slice(0, mostTold).map((s) => (
              <li key={s.verdict + s.from}>
                <span class="down" aria-hidden="true">▲</span> {span(s)}, <a href={link({ verdict: s.verdict, ...within(s) })}>{number(s.part)} of {number(s.of)} decisions were {past[s.verdict]}</a> ({share(s.part / s.of)}, else {share(s.usual)}){s.reasons.length > 0 && <>, mostly for {s.reasons.map((r, n) => <span key={r.value}>{n > 0 && ' and '}<a href={link({ verdict: s.verdict, reason: r.value, ...within(s) })}><code>{r.value}</code></a></span>)}</>}.
              </li>
            ))}
            {found.length > mostTold && <li class="muted">and {found.length - mostTold} smaller ones</li>}
          </ul>
        ))}
      </Shown>
    </Card>
  );
}

function span({ from, until }: Spike): string {
  const [a, b] = [new Date(from), new Date(until)];
  if (until - from >= day) return until - from === day ? `On ${a.toLocaleDateString([], { dateStyle: 'medium', timeZone: 'UTC' })}` : `From ${a.toLocaleDateString([], { dateStyle: 'medium', timeZone: 'UTC' })} to ${new Date(until - day).toLocaleDateString([], { dateStyle: 'medium', timeZone: 'UTC' })}`;
  return `On ${a.toLocaleDateString([], { dateStyle: 'medium' })} from ${a.toLocaleTimeString([], { timeStyle: 'short' })} to ${b.toLocaleTimeString([], { timeStyle: 'short' })}`;
}
