// Decisions to look through: found by what they were about, or as they are made.
import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { answer, client, filters, type Filter, type Schemas } from '../api';
import { useLoad } from '../load';
import { perSecond, useStream, type Live } from '../stream';
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
  { label: 'User', value: (d) => d.userID, cell: (d) => d.userID ? <a class="id" href={`/console/users/${d.projectID}/${d.userID}`}>{d.userID}</a> : <span class="muted">nobody known</span> },
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
      {live ? <Watched asked={asked} /> : <Found asked={asked} page={page} go={(to) => go(asked, { page: String(to) })} />}
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

/** Decisions as they are made. More than anybody can read are counted instead of shown. */
function Watched({ asked }: { asked: Filter }) {
  const search = new URLSearchParams(filters(asked).map((f) => ['filter[]', f]));
  const live = useStream('/decisions/stream' + (search.size ? '?' + search : ''), (event) => event === 'decision', (data) => JSON.parse(data) as Summary);
  return (
    <Card>
      <Following of={live} what="decision" />
      {live.rows.length === 0 ? <Empty>Sign in on <a href="/" target="_blank" rel="noreferrer">the page to try passkeys with</a>, and see it here.</Empty> : <DecisionTable rows={live.rows} name="decisions-live" empty="" />}
    </Card>
  );
}

/** What a live view has seen, what of it is left out, and what is wrong with it. */
export function Following({ of, what }: { of: Live<unknown>; what: string }) {
  return (
    <>
      {of.problem && <Failed problem={of.problem} />}
      <p class="row" role="status">
        <span class={of.open ? 'live' : 'live broken'}>{of.open ? 'live' : of.problem ? 'connecting again' : 'connecting'}</span>
        <span>{of.all === 0 ? of.open && `Waiting for the next ${what} …` : `${number(of.all)} came`}{of.all > of.shown && <span class="muted">, of which {number(of.shown)} were shown: at most {perSecond} a second</span>}</span>
        <Button onClick={() => of.pause(!of.paused)}>{of.paused ? 'Go on' : 'Pause'}</Button>
      </p>
    </>
  );
}
