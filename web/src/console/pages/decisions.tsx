// Decisions to look through: found by what they were about, or as they are made.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { answer, client, filters, follow, type Filter, type Schemas } from '../api';
import { asProblem, useLoad } from '../load';
import type { Problem } from '../api';
import { Badge, Button, Card, Choice, Empty, Failed, Pager, Shown, Table, Text, Title, When, type Column, type Tone } from '../ui';
import { actions, number, outcome } from '../words';

type Summary = Schemas['DecisionSummary'];

const fields: [keyof Summary | 'since' | 'until', string][] = [
  ['userID', 'User'], ['projectID', 'Project'], ['processID', 'Process'], ['rule', 'Row'], ['tag', 'Tag'], ['reason' as keyof Summary, 'Reason'], ['device', 'Device'], ['os', 'Operating system'],
  ['browser', 'Browser'], ['route', 'Route'], ['policyRevision', 'Revision'],
];
const names = ['action', 'allow', 'verdict', 'level', 'arm', 'since', 'until', ...fields.map(([name]) => (name === 'policyRevision' ? 'revision' : name))];

export const tone = (d: { action: string; allow: boolean; verdict?: string | undefined }): Tone => {
  if (d.verdict === 'deny') return 'bad';
  if (d.verdict === 'challenge' || d.verdict === 'review') return 'warn';
  return d.action === 'risk' || d.allow ? 'good' : 'plain';
};

const columns: Column<Summary>[] = [
  { label: 'When', value: (d) => d.created, cell: (d) => <When at={d.created} /> },
  { label: 'What', value: (d) => actions[d.action] ?? d.action },
  { label: 'Outcome', value: outcome, cell: (d) => <><Badge tone={tone(d)}>{outcome(d)}</Badge>{d.action !== 'risk' && d.verdict && d.verdict !== 'allow' && <> <Badge tone={tone(d)}>{d.verdict}</Badge></>}</> },
  { label: 'Row', value: (d) => d.rule, cell: (d) => <code>{d.rule}</code> },
  { label: 'Why', value: (d) => d.tag || (d.reasons ?? []).join(' '), cell: (d) => <span class="why">{[d.tag, ...(d.reasons ?? [])].filter(Boolean).join(', ')}</span> },
  { label: 'User', value: (d) => d.userID, cell: (d) => d.userID ? <a href={`/console/users/${d.projectID}/${d.userID}`}>{d.userID}</a> : <span class="muted">nobody known</span> },
  { label: 'Device', value: (d) => [d.os, d.browser].filter(Boolean).join(' · ') },
  { label: 'Revision', value: (d) => d.policyNumber ?? d.policyRevision, cell: (d) => <>{d.policyNumber ? <a href={`/console/policy/${d.policyNumber}`}>{d.policyNumber}</a> : <code>{d.policyRevision}</code>}{d.arm === 'canary' && <> <Badge tone="warn">canary</Badge></>}</> },
  { label: 'Decision', value: (d) => d.decisionID, cell: (d) => <a href={`/console/decisions/${d.decisionID}`}>Why?</a> },
];

export function DecisionTable({ rows, name, tools, empty }: { rows: Summary[]; name: string; tools?: preact.ComponentChildren; empty: preact.ComponentChildren }) {
  return <Table caption="Decisions" columns={columns} rows={rows} name={name} sorted identify={(d) => d.decisionID} empty={empty} perPage={1000} tools={tools} find={false} />;
}

export function Decisions() {
  const { query, route } = useLocation();
  const asked: Filter = Object.fromEntries(names.filter((name) => query[name]).map((name) => [name, query[name]!]));
  const page = Number(query.page) || 1;
  const live = query.live === 'true';
  const go = (to: Filter, more: Record<string, string> = {}) => {
    const search = new URLSearchParams({ ...Object.fromEntries(Object.entries(to).filter(([, value]) => value)), ...more });
    route(`/console/decisions${search.size ? '?' + search : ''}`);
  };
  return (
    <>
      <Title aside={<Button onClick={() => go(asked, live ? {} : { live: 'true' })}>{live ? 'Stop the live view' : 'Watch live'}</Button>}>Decisions</Title>
      <Search asked={asked} go={(to) => go(to, live ? { live: 'true' } : {})} />
      {live ? <Live asked={asked} /> : <Found asked={asked} page={page} go={(to) => go(asked, { page: String(to) })} />}
    </>
  );
}

function Search({ asked, go }: { asked: Filter; go: (to: Filter) => void }) {
  const [typed, type] = useState<Filter>(asked);
  const of = JSON.stringify(asked);
  useEffect(() => type(asked), [of]);
  const set = (name: string) => (value: string) => type((t) => ({ ...t, [name]: value }));
  const pick = (name: string) => (value: string) => go({ ...typed, [name]: value });
  const used = Object.keys(asked).length;
  const id = typed.decisionID ?? '';
  const { route } = useLocation();
  return (
    <Card>
      <form class="search" onSubmit={(event) => {
        event.preventDefault();
        if (/^dec-\d+$/.test(id.trim())) route(`/console/decisions/${id.trim()}`);
        else go(Object.fromEntries(Object.entries(typed).filter(([name]) => name !== 'decisionID').map(([name, value]) => [name, value.trim()])));
      }}>
        <Choice label="What" value={typed.action ?? ''} onChange={pick('action')} options={[['', 'anything'], ...Object.entries(actions)]} />
        <Choice label="Offered" value={typed.allow ?? ''} onChange={pick('allow')} options={[['', 'or not'], ['true', 'offered'], ['false', 'not offered']]} />
        <Choice label="Verdict" value={typed.verdict ?? ''} onChange={pick('verdict')} options={[['', 'any'], ...['allow', 'review', 'challenge', 'deny'].map((v): [string, string] => [v, v])]} />
        <Choice label="Arm" value={typed.arm ?? ''} onChange={pick('arm')} options={[['', 'any'], ['base', 'base'], ['canary', 'canary']]} />
        <Text label="User" value={typed.userID ?? ''} onInput={set('userID')} placeholder="usr-…" />
        <details open={Object.keys(asked).some((name) => !['action', 'allow', 'verdict', 'arm', 'userID'].includes(name))}>
          <summary>More to look for</summary>
          <div class="fields">
            <Text label="Decision" value={id} onInput={set('decisionID')} placeholder="dec-…" />
            {fields.filter(([name]) => name !== 'userID').map(([name, label]) => {
              const field = name === 'policyRevision' ? 'revision' : name;
              return <Text key={field} label={label} value={typed[field] ?? ''} onInput={set(field)} />;
            })}
            <Text label="Since" value={typed.since ?? ''} onInput={set('since')} placeholder="2026-12-01T08:00:00Z" />
            <Text label="Until" value={typed.until ?? ''} onInput={set('until')} placeholder="2026-12-01T09:00:00Z" />
          </div>
        </details>
        <div class="row">
          <Button submit kind="main">Look</Button>
          {used > 0 && <Button onClick={() => { type({}); go({}); }}>All decisions</Button>}
        </div>
      </form>
    </Card>
  );
}

function Found({ asked, page, go }: { asked: Filter; page: number; go: (page: number) => void }) {
  const pageSize = 50;
  const loaded = useLoad((signal) => answer(client.GET('/decisions', { params: { query: { page, pageSize, 'filter[]': filters(asked) } }, signal })), [asked, page]);
  return (
    <Card>
      <Shown of={loaded} rows={8}>
        {({ decisions, paging, coverage }) => (
          <>
            <Coverage of={coverage} />
            <DecisionTable rows={decisions} name="decisions" empty={Object.keys(asked).length ? 'No decision that is indexed is like that.' : 'Nothing has been decided yet.'} />
            {paging.totalPages > 1 && <Pager page={paging.page} pages={paging.totalPages} items={paging.totalItems} go={go} />}
          </>
        )}
      </Shown>
    </Card>
  );
}

function Coverage({ of }: { of: Schemas['DecisionCoverage'] }) {
  const said = [
    of.behind > 0 && `${number(of.behind)} records are yet to be indexed.`,
    of.omitted > 0 && `Of ${number(of.indexed + of.omitted)} decisions of this time, ${number(of.omitted)} were left out of the index, those that nobody doubted first.`,
    of.unreadable > 0 && `${number(of.unreadable)} records could not be read.`,
  ].filter(Boolean);
  return said.length ? <p class="note">{said.join(' ')}</p> : null;
}

const most = 100; // rows that are kept in view
const perSecond = 20; // rows that are shown in a second; the rest is counted

/** Decisions as they are made. More than anybody can read are counted instead of shown. */
function Live({ asked }: { asked: Filter }) {
  const [rows, show] = useState<Summary[]>([]);
  const [seen, count] = useState({ all: 0, shown: 0 });
  const [problem, fail] = useState<Problem | undefined>();
  const [paused, pause] = useState(false);
  const held = useRef(paused);
  held.current = paused;
  const of = JSON.stringify(asked);
  useEffect(() => {
    const control = new AbortController();
    let waiting: Summary[] = [];
    let arrived = 0;
    let last = '';
    const search = new URLSearchParams(filters(asked).map((f) => ['filter[]', f]));
    const run = async () => {
      while (!control.signal.aborted) {
        try {
          await follow('/decisions/stream' + (search.size ? '?' + search : ''), control.signal, (event, data, id) => {
            if (id) last = id;
            if (event !== 'decision' || held.current) return;
            arrived++;
            if (waiting.length < perSecond) waiting.push(JSON.parse(data) as Summary);
          }, last);
          fail(undefined);
        } catch (failed) {
          if (control.signal.aborted) return;
          fail(asProblem(failed));
        }
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    };
    show([]);
    count({ all: 0, shown: 0 });
    void run();
    const timer = setInterval(() => {
      if (arrived === 0) return;
      const [fresh, all] = [waiting.reverse(), arrived];
      waiting = [];
      arrived = 0;
      show((old) => [...fresh, ...old].slice(0, most));
      count((c) => ({ all: c.all + all, shown: c.shown + fresh.length }));
    }, 1000);
    return () => { control.abort(); clearInterval(timer); };
  }, [of]);
  return (
    <Card>
      {problem && <Failed problem={problem} />}
      <p class="row" role="status">
        <span class="live">live</span>
        <span>{seen.all === 0 ? 'Waiting for the next decision …' : `${number(seen.all)} came`}{seen.all > seen.shown && <span class="muted">, of which {number(seen.shown)} were shown: at most {perSecond} a second</span>}</span>
        <Button onClick={() => pause(!paused)}>{paused ? 'Go on' : 'Pause'}</Button>
      </p>
      {rows.length === 0 ? <Empty>Sign in on <a href="/" target="_blank" rel="noreferrer">the page to try passkeys with</a>, and see it here.</Empty> : <DecisionTable rows={rows} name="decisions-live" empty="" />}
    </Card>
  );
}

