// Why one decision came out as it did, what would have been otherwise, and what happened next.
import { useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { answer, client, type Schemas } from '../api';
import { useAct, useLoad } from '../load';
import { Badge, Button, Card, Choice, Empty, Facts, Said, Shown, Table, Text, Title, When } from '../ui';
import { actions, outcome } from '../words';
import { tone } from './decisions';
import { AsScenario } from './scenarios';

type Explanation = Schemas['DecisionExplanation'];

export function DecisionPage() {
  const { params } = useRoute();
  const id = params.id ?? '';
  const loaded = useLoad(async (signal) => {
    const path = { decisionID: id };
    const [found, why] = await Promise.all([
      answer(client.GET('/decisions/{decisionID}', { params: { path }, signal })),
      answer(client.GET('/decisions/{decisionID}/explanation', { params: { path }, signal })).catch(() => undefined),
    ]);
    return { found, why };
  }, [id]);
  return (
    <>
      <p class="crumbs"><a href="/console/decisions">Decisions</a></p>
      <Shown of={loaded} rows={10}>
        {({ found, why }) => <Decision id={id} record={found.record as Recorded} steps={found.outcome} why={why} />}
      </Shown>
    </>
  );
}

interface Recorded {
  action: string; allow: boolean; project: string; user?: string; process?: string; time: string; rule: string; tag: string; policyRevision: string; policyNumber?: number; durationMicros: number;
  memoised: boolean; arm?: { side: string; change: number }; facts: unknown; shadow?: { same?: boolean }; enforced?: boolean; requestID?: string;
}

function Decision({ id, record, steps, why }: { id: string; record: Recorded; steps: Schemas['DecisionStep'][]; why: Explanation | undefined }) {
  const verdict = why?.verdict ?? why?.risk?.verdict;
  const shown = { action: record.action, allow: record.allow, verdict };
  return (
    <>
      <Title>{actions[record.action] ?? record.action}: {outcome(shown).toLowerCase()}</Title>
      <div class="grid">
        <Card title="In words" wide>
          <div class={`verdict ${tone(shown)}`}>
            <strong>{outcome(shown)}</strong>
            <span>{why ? why.title || why.reason : 'The revision that decided is not kept any more, so the record alone can tell.'}</span>
          </div>
          {why && <Because of={why} />}
          {why?.note && <p class="note">{why.note}</p>}
          {record.arm?.side === 'canary' && <p class="note">A canary decided: another user might have got another answer.</p>}
          <Facts of={[
            ['Decided', <When at={record.time} />],
            ['User', record.user ? <a href={`/console/users/${record.project}/${record.user}`}>{record.user}</a> : 'nobody known'],
            ['Project', record.project],
            ['Row', <code>{record.rule}</code>],
            ['Tag', record.tag && <code>{record.tag}</code>],
            ['Client', why?.client],
            ['Lists', why?.lists?.join(', ')],
            ['Revision', record.policyNumber ? <a href={`/console/policy/${record.policyNumber}`}>{record.policyNumber}</a> : <code>{record.policyRevision}</code>],
            ['Took', `${record.durationMicros} µs${record.memoised ? ', remembered from equal facts' : ''}`],
            ['Decision', <code>{id}</code>],
            ['Process', record.process && <a href={`/console/decisions?processID=${encodeURIComponent(record.process)}`}>{record.process}</a>],
          ]} />
        </Card>
        {why?.risk && (
          <Card title="Risk beside" hint={record.enforced === false ? 'It was observed, and not enforced.' : undefined}>
            <p><Badge tone={tone({ action: 'risk', allow: why.risk.allow, verdict: why.risk.verdict })}>{why.risk.verdict ?? '–'}</Badge> {why.risk.title}</p>
            <Reasons of={why.risk} />
          </Card>
        )}
        {why?.riskReasons && <Card title="What is wrong"><Reasons of={why} /></Card>}
        <Card title="What happened next">
          {steps.length === 0 ? <Empty>{record.action === 'append' ? 'Nobody has answered the offer, as far as the log tells.' : 'See the decisions of the same process.'}</Empty> : (
            <ol class="steps-list">{steps.map((s) => <li key={s.event}><When at={s.at} /> <code>{s.type}</code></li>)}</ol>
          )}
          {record.process && <p class="small"><a href={`/console/decisions?processID=${encodeURIComponent(record.process)}`}>Everything of this process</a></p>}
        </Card>
        {why?.causes && why.causes.length > 0 && (
          <Card title="Where it came from" wide>
            {why.causes.map((c) => (
              <section key={c.heading} class="causes">
                <h3>{c.heading}</h3>
                <ul>{c.items.map((item, n) => <li key={n}>{item.text}<Behind of={item} record={record} /></li>)}</ul>
              </section>
            ))}
          </Card>
        )}
        {why && <Ladder of={why} />}
        {why?.passkeys && <Passkeys of={why.passkeys} />}
        {why && <Values title="Facts that were read" of={why.facts} wide record={record} />}
        {why && why.parameters.length > 0 && <Values title="Parameters that were read" of={why.parameters} wide />}
        {why && <JudgeWith id={id} why={why} />}
        <AsScenario id={id} />
        <Card title="The record" wide><details><summary>As it is kept</summary><pre tabIndex={0}>{JSON.stringify(record, null, 2)}</pre></details></Card>
      </div>
    </>
  );
}

function Because({ of }: { of: Explanation }) {
  return of.story?.length ? <ul class="story">{of.story.map((s) => <li key={s}>{s}</li>)}</ul> : <p class="story">{of.reason}</p>;
}

function Reasons({ of }: { of: Explanation }) {
  if (!of.riskReasons?.length) return <Empty>No rule of risk found anything.</Empty>;
  return <ul class="story">{of.riskReasons.map((r) => <li key={r.name}><code>{r.name}</code> {r.message}</li>)}</ul>;
}

/** The table of decisions as it was read: from the top, each row that did not match, and the one that answered. */
function Ladder({ of }: { of: Explanation }) {
  return (
    <Card title="The table, from the top" wide hint="Each row was asked in turn; the first that matched answered.">
      <ol class="ladder">
        {of.rows.map((r) => (
          <li key={r.row} class={r.answered ? 'answered' : undefined}>
            <code>{r.row}</code>
            <div>
              <strong>{r.title}</strong>
              <span class="hint">{r.answered ? 'Answered: ' : 'Passed by: '}{r.story?.join('; ') || r.reason}</span>
              {r.file && <span class="small muted">{r.file}:{r.line}</span>}
            </div>
          </li>
        ))}
      </ol>
    </Card>
  );
}

/** Where an event of the user is among what happened to it. */
const moment = (record: Recorded, e: Schemas['ExplainedEvent']): string | undefined =>
  (record.user ? `/console/users/${record.project}/${record.user}?event=${encodeURIComponent(e.eventID)}&at=${Date.parse(e.created)}` : undefined);

/** The events behind a cause: each leads to where it stands in the user's timeline. */
function Behind({ of, record }: { of: Schemas['ExplainedCause']; record: Recorded }) {
  const sources = of.sources ?? [];
  const lines = of.events.length > 0 ? of.events : sources.map((e) => e.created);
  if (lines.length === 0) return null;
  return <span class="small muted behind">{lines.map((text, n) => <span key={n}>{sources[n] && record.user ? <a href={moment(record, sources[n]!)}>{text}</a> : text}</span>)}</span>;
}

const kinds: Record<Schemas['ExplainedSource']['kind'], string> = {
  client: 'The client', caller: 'The caller', project: 'The project', account: 'The account', credentials: 'Passkeys', events: 'Events', counter: 'A counter', list: 'A list', location: 'Locations',
  experiment: 'An experiment', clock: 'The clock',
};

function Source({ of, record }: { of: Schemas['ExplainedSource'] | undefined; record: Recorded }) {
  if (!of) return <span class="muted">not known</span>;
  const user = record.user && `/console/users/${record.project}/${record.user}`;
  return (
    <div class="source">
      <span><strong>{kinds[of.kind]}</strong> <span class="muted">{of.text}</span></span>
      {of.kind === 'list' && of.name && <a href="/console/lists">{of.name}</a>}
      {of.entries?.map((entry) => <code key={entry} class="small">{entry}</code>)}
      {of.events?.map((e) => <a key={e.eventID} class="small" href={moment(record, e)}><When at={e.created} />{e.type && ` ${e.type}`}</a>)}
      {user && of.credentialIDs?.map((id) => <a key={id} class="small" href={`${user}?passkey=${encodeURIComponent(id)}`}><code>{id}</code></a>)}
      {user && of.kind === 'account' && <a class="small" href={user}>{record.user}</a>}
    </div>
  );
}

const says = (of: Schemas['ExplainedSource'] | undefined): string => (of ? [kinds[of.kind], of.name, of.text].filter(Boolean).join(': ') : '');

function Values({ title, of, wide, record }: { title: string; of: Schemas['ExplainedValue'][]; wide?: boolean; record?: Recorded }) {
  return (
    <Card title={title} wide={!!wide}>
      <Table
        caption={title} name="facts" rows={of} identify={(f) => f.path} empty="No row read anything." perPage={25}
        columns={[
          { label: 'What', value: (f) => f.path, cell: (f) => <><code>{f.path}</code>{f.title && <span class="hint">{f.title}</span>}</> },
          { label: 'Value', value: (f) => f.value, cell: (f) => <code class="value">{f.value}</code> },
          ...(record ? [{ label: 'From', value: (f: Schemas['ExplainedValue']) => says(f.source), cell: (f: Schemas['ExplainedValue']) => <Source of={f.source} record={record} /> }] : []),
        ]}
      />
    </Card>
  );
}

function Passkeys({ of }: { of: Schemas['ExplainedPasskey'][] }) {
  return (
    <Card title="Passkeys of the account" wide>
      <ul class="passkeys">
        {of.map((p) => (
          <li key={p.credentialID}>
            <strong>{p.provider ?? p.kind}</strong> <span class="muted">{p.provider && p.kind}</span>
            <span class="hint">{p.where}: {p.why}</span>
            {p.history?.map((h) => <span key={h} class="hint">{h}</span>)}
            <code class="small">{p.credentialID}</code>
          </li>
        ))}
      </ul>
    </Card>
  );
}

// -- judge with … --

function JudgeWith({ id, why }: { id: string; why: Explanation }) {
  const revisions = useLoad((signal) => answer(client.GET('/policy/revisions', { signal })), []);
  const [revision, pick] = useState('');
  const [path, choose] = useState('');
  const [value, type] = useState('');
  const [facts, set] = useState<Record<string, unknown>>({});
  const [found, show] = useState<Explanation | undefined>();
  const { busy, problem, done, act } = useAct();
  const { route } = useLocation();
  const add = () => {
    const known = why.facts.find((f) => f.path === path);
    let parsed: unknown = value;
    try {
      parsed = JSON.parse(value);
    } catch {
      // What is no JSON is a text.
    }
    set({ ...facts, [path]: value === '' && known ? null : parsed });
    choose('');
    type('');
  };
  const judge = () => act(async () => {
    show(await answer(client.POST('/decisions/{decisionID}/explanation', {
      params: { path: { decisionID: id } }, body: { ...(revision && { revision: Number(revision) }), ...(Object.keys(facts).length > 0 && { facts }) },
    })));
  });
  const all = revisions.data?.revisions ?? [];
  return (
    <Card title="Judge with …" wide hint="What another revision, or other facts, would have come to. Nothing of it is recorded.">
      <form class="search" onSubmit={(event) => { event.preventDefault(); void judge(); }}>
        <Choice label="Revision" value={revision} onChange={pick} options={[['', 'the one that decided'], ...all.map((r): [string, string] => [String(r.number), `${r.number}: ${r.message.split('\n')[0]!.slice(0, 60)}`])]} />
        <Text label="A fact" value={path} onInput={choose} list={why.facts.map((f) => f.path)} placeholder="client.privateMode" />
        <Text label="is" value={value} onInput={type} placeholder={why.facts.find((f) => f.path === path)?.value ?? 'true'} hint="As JSON. Empty takes the fact away." />
        <div class="row">
          <Button onClick={add} disabled={!path}>Set the fact</Button>
          <Button submit kind="main" busy={busy}>Judge</Button>
        </div>
      </form>
      {Object.keys(facts).length > 0 && (
        <ul class="chips">{Object.entries(facts).map(([name, to]) => (
          <li key={name}><code>{name} = {to === null ? 'not known' : JSON.stringify(to)}</code> <button type="button" class="quiet" aria-label={`Leave ${name} as it was`} onClick={() => { const { [name]: _, ...rest } = facts; set(rest); }}>✕</button></li>
        ))}</ul>
      )}
      <Said done={done} problem={problem} />
      {found && (
        <div aria-live="polite">
          <div class={`verdict ${tone(found)}`}><strong>{outcome(found)}</strong><span>{found.title || found.reason} <code>{found.row}</code></span></div>
          <p>{found.same ? 'The same answer as the recorded one.' : <>The recorded answer was row <code>{why.row}</code>, {outcome(why).toLowerCase()}.</>}</p>
          <Because of={found} />
          {found.risk && <p>Risk: <Badge tone={tone({ action: 'risk', allow: found.risk.allow, verdict: found.risk.verdict })}>{found.risk.verdict ?? '–'}</Badge> {(found.risk.riskReasons ?? []).map((r) => r.name).join(', ')}</p>}
          {found.note && <p class="note">{found.note}</p>}
          {revision && !found.same && <p class="small"><button type="button" class="link" onClick={() => route(`/console/policy/${revision}`)}>See how many others revision {revision} would touch</button></p>}
        </div>
      )}
    </Card>
  );
}
