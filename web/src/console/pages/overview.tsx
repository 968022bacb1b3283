// How adoption goes, what has changed, what is risky, and whether everything runs.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { answer, client, follow, type Schemas } from '../api';
import { Chart } from '../chart';
import { useLoad } from '../load';
import { Reasons, Risk, Spikes } from './risk';
import { apart } from '../chance.js';
import { Badge, Bar, Card, Choice, Empty, Shown, Table, Title, When, type Tone } from '../ui';
import { compact, day, kind, milliseconds, number, share } from '../words';

type Group = Schemas['AdoptionGroup'];
type Report = Schemas['AdoptionReport'];

const spans: Record<string, { name: string; days: number }> = { week: { name: 'last 7 days', days: 7 }, month: { name: 'last 30 days', days: 30 }, quarter: { name: 'last 90 days', days: 90 } };

const adoption = (query: { since: string; until?: string; unit: 'hour' | 'day'; by?: string; series?: boolean; 'filter[]'?: string[] }, signal: AbortSignal) =>
  answer(client.GET('/adoption', { params: { query }, signal }));

/** Midnight UTC so many days ago: sums are by day of UTC. */
const midnight = (days: number): string => {
  const at = new Date(Date.now() - days * day);
  at.setUTCHours(0, 0, 0, 0);
  return at.toISOString().replace('.000', '');
};

export function Overview() {
  const [span, pick] = useState('week');
  const days = spans[span]!.days;
  return (
    <>
      <Title aside={<Choice label="Of the" value={span} onChange={pick} options={Object.entries(spans).map(([key, { name }]) => [key, name])} />}>Overview</Title>
      <div class="grid">
        <Changed days={days} />
        <Health />
        <Funnels days={days} />
        <Trend days={days} />
        <Risk days={days} />
        <Reasons days={days} />
        <Spikes days={days} />
        <Segments days={days} />
      </div>
    </>
  );
}

// -- what changed --

interface Ratio { what: string; part: number; of: number }

function ratios(g: Group): Ratio[] {
  return [
    { what: 'Logins that were offered a passkey', part: g.logins.offered, of: g.logins.asked },
    { what: 'Offered logins that were completed', part: g.logins.completed, of: g.logins.offered },
    { what: 'Begun logins that succeeded', part: g.logins.completed, of: g.logins.started },
    { what: 'Creations that were offered', part: g.creations.offered, of: g.creations.asked },
    { what: 'Offered creations that were completed', part: g.creations.completed, of: g.creations.offered },
  ];
}

export function sentences(now: Group | undefined, before: Group | undefined): { text: string; up: boolean }[] {
  if (!now || !before) return [];
  const said: { text: string; up: boolean }[] = [];
  const old = ratios(before);
  ratios(now).forEach((ratio, n) => {
    const was = old[n]!;
    if (ratio.of < 30 || was.of < 30) return;
    const away = apart(ratio, was);
    if (Math.abs(away) < 3) return;
    said.push({ text: `${ratio.what} ${away > 0 ? 'rose' : 'fell'} from ${share(was.part / was.of)} to ${share(ratio.part / ratio.of)}.`, up: away > 0 });
  });
  const asked = (g: Group) => g.logins.asked + g.creations.asked + g.mediations.asked;
  const [a, b] = [asked(now), asked(before)];
  if (b >= 100 && (a > b * 1.25 || a < b * 0.75)) said.unshift({ text: `${number(a)} decisions were asked for, ${a > b ? 'up' : 'down'} from ${number(b)}.`, up: a > b });
  return said;
}

function Changed({ days }: { days: number }) {
  const loaded = useLoad(async (signal) => {
    const [now, before, changes] = await Promise.all([
      adoption({ since: midnight(days), unit: 'day' }, signal),
      adoption({ since: midnight(days * 2), until: midnight(days), unit: 'day' }, signal),
      answer(client.GET('/policy/changes', { signal })),
    ]);
    const since = Date.parse(midnight(days));
    return { said: sentences(now.groups[0], before.groups[0]), now: now.groups[0], before: before.groups[0], changes: changes.changes.filter((c) => Date.parse(c.at) >= since) };
  }, [days], 60_000);
  return (
    <Card title="What changed" span="two" hint={`Against the ${days} days before, where it is more than chance.`}>
      <Shown of={loaded}>
        {({ said, now, before, changes }) => (
          <ul class="sentences">
            {said.map(({ text, up }) => <li key={text}><span class={up ? 'up' : 'down'} aria-hidden="true">{up ? '▲' : '▼'}</span> {text}</li>)}
            {said.length === 0 && <li class="muted">{now && before && before.logins.asked + before.creations.asked > 0 ? 'Nothing that would not be chance.' : 'There is nothing to compare with yet.'}</li>}
            {changes.slice(0, 4).map((c) => (
              <li key={c.number}>{changeWords(c)} by {c.by.name || 'Keyward'}, <When at={c.at} relative />. <a href={`/console/policy/${c.revision}`}>Revision {c.revision}</a></li>
            ))}
          </ul>
        )}
      </Shown>
    </Card>
  );
}

const kinds: Record<Schemas['PolicyChange']['kind'], string> = {
  activation: 'A revision was made live', rollback: 'A revision was taken back', promotion: 'A canary was promoted', 'canary-begun': 'A canary was begun', 'canary-raised': 'A canary was raised',
  'canary-held': 'A canary was held', 'canary-ended': 'A canary was ended', 'canary-returned': 'A canary ended by itself', 'shadow-begun': 'A shadow was begun', 'shadow-ended': 'A shadow was ended',
};
export const changeWords = (c: Schemas['PolicyChange']): string => kinds[c.kind];

// -- health --

const tones: Record<Schemas['HealthState'], Tone> = { ok: 'good', degraded: 'warn', down: 'bad' };

/** What Keyward needs, as the process that answers knows it. */
function Needs() {
  const loaded = useLoad((signal) => answer(client.GET('/health', { signal })), [], 10_000);
  return <Shown of={loaded} rows={1}>{(h) => <ul class="needs">{h.dependencies.map((d) => <li key={d.name}><Badge tone={tones[d.state]}>{d.name}</Badge>{d.state !== 'ok' && <span class="small">{d.detail ?? d.state}</span>}</li>)}</ul>}</Shown>;
}

function Health() {
  const loaded = useLoad((signal) => answer(client.GET('/policy/status', { signal })), [], 5000);
  return (
    <Card title="Running" span="one" aside={<Rate />}>
      <Needs />
      <Shown of={loaded}>
        {({ live, instances }) => {
          const behind = instances.filter((i) => i.behind || i.refused || i.lapsed);
          return (
            <>
              <p class="lead">
                {instances.length === 0 ? <Badge tone="bad">No instance is heard of</Badge>
                  : behind.length === 0 ? <Badge tone="good">{instances.length === 1 ? 'The instance answers' : `All ${instances.length} instances answer`} by what is live</Badge>
                    : <Badge tone="bad">{behind.length} of {instances.length} behind</Badge>}
              </p>
              <p>{live ? <>Live is <a href={`/console/policy/${live.revision}`}>revision {live.revision}</a> since <When at={live.at} relative />.</> : 'Nothing of the store is live: the policy comes from a directory or from the program.'}</p>
              {behind.map((i) => <p key={i.instance} class="small">{i.host}: {i.refused ?? 'answers by an older revision'}{i.lapsed ? ', and only with safe defaults' : ''}</p>)}
            </>
          );
        }}
      </Shown>
    </Card>
  );
}

/** Decisions a second, as they are indexed. Counting costs nothing but the reading. */
function Rate() {
  const [rate, set] = useState<number | undefined>();
  const count = useRef(0);
  useEffect(() => {
    const control = new AbortController();
    const begun = Date.now();
    const run = async () => {
      while (!control.signal.aborted) {
        await follow('/decisions/stream', control.signal, () => { count.current++; }).catch(() => { /* it is tried again */ });
        await new Promise((resolve) => setTimeout(resolve, 3000));
      }
    };
    void run();
    const recent: number[] = [];
    const timer = setInterval(() => {
      recent.push(count.current);
      count.current = 0;
      if (recent.length > 10) recent.shift();
      if (Date.now() - begun > 1500) set(recent.reduce((a, b) => a + b, 0) / recent.length);
    }, 1000);
    return () => { control.abort(); clearInterval(timer); };
  }, []);
  return <span class="live">{rate === undefined ? 'counting …' : `${rate < 10 ? rate.toFixed(1) : compact(Math.round(rate))} decisions/s`}</span>;
}

// -- the funnel --

function Funnels({ days }: { days: number }) {
  const loaded = useLoad((signal) => adoption({ since: midnight(days), unit: 'day' }, signal), [days], 60_000);
  return (
    <Card title="What becomes of offers" wide hint="Of everything that was asked for, how much went on to the next step.">
      <Shown of={loaded}>
        {(report) => <Funnel report={report} />}
      </Shown>
    </Card>
  );
}

function Funnel({ report }: { report: Report }) {
  const g = report.groups[0];
  if (!g) return <Empty>Nothing has been decided yet. Sign in on <a href="/">the page to try passkeys with</a>, or fill an installation with <code>keyward demo</code>.</Empty>;
  return (
    <div class="funnels">
      <Steps name="Logins" of={g.logins} />
      <Steps name="Creations" of={g.creations} />
      <div class="tiles">
        <Tile name="Logins by passkey" value={share(g.passkeyShare)} hint={g.passkeyShare === undefined ? 'Other logins are not reported' : undefined} />
        <Tile name="Time to sign in" value={g.timeToSignIn ? milliseconds(g.timeToSignIn.p50) : '–'} hint={g.timeToSignIn && `nine of ten within ${milliseconds(g.timeToSignIn.p90)}`} />
        <Tile name="With a phone" value={share(g.phoneShare)} />
        <Tile name="Users with passkeys" value={compact(report.passkeys.users)} hint={report.passkeys.perUser === undefined ? undefined : `${report.passkeys.perUser.toFixed(1)} passkeys each`} />
      </div>
    </div>
  );
}

function Tile({ name, value, hint }: { name: string; value: string; hint?: string | undefined }) {
  return <div class="tile"><span class="muted">{name}</span><strong>{value}</strong>{hint && <span class="small">{hint}</span>}</div>;
}

function Steps({ name, of }: { name: string; of: Schemas['AdoptionFunnel'] }) {
  const part = (n: number) => (of.asked ? n / of.asked : 0);
  return (
    <div class="steps" role="group" aria-label={name}>
      <h3>{name}</h3>
      <Bar label="asked" text={number(of.asked)} of={of.asked ? 1 : 0} />
      <Bar label="offered" text={`${number(of.offered)} · ${share(of.offerRate)}`} of={part(of.offered)} />
      <Bar label="begun" text={`${number(of.started)} · ${share(of.startRate)} of offered`} of={part(of.started)} />
      <Bar label="completed" text={`${number(of.completed)} · ${share(of.successRate)} of begun`} of={part(of.completed)} />
      <p class="small muted">{[`${number(of.declined)} declined`, `${number(of.failed)} failed`, `${number(of.fellBack)} went another way`].join(' · ')}</p>
    </div>
  );
}

// -- over time --

const measures: Record<string, { name: string; lines: { label: string; tone: string; value: (g: Group) => number | undefined }[]; show: (n: number) => string }> = {
  rates: {
    name: 'Rates', show: share, lines: [
      { label: 'Logins completed of offered', tone: '--series-1', value: (g) => g.logins.completionRate },
      { label: 'Creations completed of offered', tone: '--series-2', value: (g) => g.creations.completionRate },
      { label: 'Logins offered of asked', tone: '--series-3', value: (g) => g.logins.offerRate },
    ],
  },
  counts: {
    name: 'Counts', show: compact, lines: [
      { label: 'Logins by passkey', tone: '--series-1', value: (g) => g.logins.completed + g.mediations.completed },
      { label: 'Passkeys created', tone: '--series-2', value: (g) => g.creations.completed },
      { label: 'Logins by other means', tone: '--series-3', value: (g) => g.otherMeans },
    ],
  },
};

function Trend({ days }: { days: number }) {
  const [measure, pick] = useState('rates');
  const loaded = useLoad(async (signal) => {
    const unit = days <= 7 ? 'hour' as const : 'day' as const;
    const [report, changes] = await Promise.all([adoption({ since: midnight(days), unit: days <= 7 ? 'hour' : 'day', series: true }, signal), answer(client.GET('/policy/changes', { signal }))]);
    return { report, unit, releases: changes.changes.filter((c) => ['activation', 'rollback', 'promotion'].includes(c.kind)).map((c) => ({ at: Date.parse(c.at), label: `revision ${c.revision}` })) };
  }, [days], 60_000);
  const { lines, show } = measures[measure]!;
  const drawn = useMemo(() => {
    if (!loaded.data) return undefined;
    const groups = [...loaded.data.report.groups].filter((g) => g.start).sort((a, b) => a.start!.localeCompare(b.start!));
    return {
      at: groups.map((g) => Date.parse(g.start!)), marks: loaded.data.releases,
      lines: lines.map((line) => ({ label: line.label, tone: line.tone, values: groups.map((g) => line.value(g) ?? null) })),
    };
  }, [loaded.data, measure]);
  return (
    <Card title="Over time" span="two" aside={<Choice label="Show" value={measure} onChange={pick} options={Object.entries(measures).map(([key, { name }]) => [key, name])} />}>
      <Shown of={loaded}>
        {() => (drawn && drawn.at.length > 1 ? <Chart caption="Adoption over time" show={show} {...drawn} /> : <Empty>There is nothing to draw before two {loaded.data?.unit ?? 'day'}s have passed.</Empty>)}
      </Shown>
    </Card>
  );
}

// -- by device, browser, project --

const dimensions: [string, string][] = [['os', 'Operating system'], ['browser', 'Browser'], ['project', 'Project'], ['class', 'Class of passkey'], ['route', 'Route'], ['rule', 'Row of the policy'], ['revision', 'Revision'], ['arm', 'Arm']];

function Segments({ days }: { days: number }) {
  const [by, pick] = useState('os');
  const loaded = useLoad((signal) => adoption({ since: midnight(days), unit: 'day', by }, signal), [days, by], 60_000);
  const what = (g: Group) => kind(g.of[by]);
  return (
    <Card title="By what" wide aside={<Choice label="By" value={by} onChange={pick} options={dimensions} />}>
      <Shown of={loaded}>
        {(report) => (
          <Table
            caption="Adoption by segment" name={`adoption-by-${by}`} rows={report.groups} identify={what} empty="Nothing has been decided yet."
            columns={[
              { label: dimensions.find(([key]) => key === by)![1], value: what },
              { label: 'Logins asked', numeric: true, value: (g) => g.logins.asked },
              { label: 'offered', numeric: true, value: (g) => g.logins.offerRate, cell: (g) => share(g.logins.offerRate) },
              { label: 'succeeded', numeric: true, value: (g) => g.logins.successRate, cell: (g) => share(g.logins.successRate) },
              { label: 'Creations asked', numeric: true, value: (g) => g.creations.asked },
              { label: 'offered ', numeric: true, value: (g) => g.creations.offerRate, cell: (g) => share(g.creations.offerRate) },
              { label: 'completed', numeric: true, value: (g) => g.creations.completionRate, cell: (g) => share(g.creations.completionRate) },
            ]}
          />
        )}
      </Shown>
    </Card>
  );
}
