// One revision: what it changes, whom it would touch, and how it goes live.
import { useMemo, useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { answer, client, type Schemas } from '../api';
import { differences, unpack, type Difference } from '../bundle';
import { useAct, useLoad } from '../load';
import { useWho } from '../session';
import { Badge, Bar, Button, Card, Choice, Confirm, Empty, Facts, Said, Shown, Table, Text, Title, When } from '../ui';
import { actions, bytes, day, isoAgo, number, share } from '../words';
import { Diff } from '../diff';

type Revision = Schemas['PolicyRevision'];
type Replay = Schemas['PolicyReplay'];

export function Revision() {
  const { params } = useRoute();
  const wanted = Number(params.number);
  const loaded = useLoad(async (signal) => {
    const list = await answer(client.GET('/policy/revisions', { signal }));
    const one = await answer(client.GET('/policy/revisions/{number}', { params: { path: { number: wanted } }, signal }));
    return { one, live: list.live, all: list.revisions, fourEyes: list.fourEyes };
  }, [wanted], 10_000);
  return (
    <>
      <p class="crumbs"><a href="/console/policy">Policy</a></p>
      <Shown of={loaded} rows={8}>
        {({ one, live, all, fourEyes }) => <One key={one.number} one={one} live={live} all={all} fourEyes={fourEyes} again={loaded.reload} />}
      </Shown>
    </>
  );
}

function One({ one, live, all, fourEyes, again }: { one: Revision; live: number | undefined; all: Revision[]; fourEyes: boolean; again: () => void }) {
  const { may } = useWho();
  return (
    <>
      <Title aside={may('author') && <a class="action" href={`/console/policy/${one.number}/edit`}>Change it</a>}>Revision {one.number}</Title>
      <div class="grid">
        <Card title={one.message.split('\n')[0]!} aside={one.number === live ? <Badge tone="good">live</Badge> : undefined}>
          {one.message.includes('\n') && <p class="text">{one.message.split('\n').slice(1).join('\n').trim()}</p>}
          <Facts of={[
            ['By', one.author.name], ['Pushed', <When at={one.created} />], ['Made from', one.parent ? <a href={`/console/policy/${one.parent}`}>revision {one.parent}</a> : undefined],
            ['Tests', `${number(one.tests)} passed`], ['Scenarios', one.scenarios && `${number(one.scenarios.passed)} passed, ${number(one.scenarios.failed)} failed`],
            ['Signed by', one.signatures?.join(', ')], ['Size', bytes(one.size)], ['Named', <code>{one.name}</code>],
          ]} />
          {one.advice?.map((a) => <p key={a} class="note">{a}</p>)}
        </Card>
        <GoLive one={one} live={live} fourEyes={fourEyes} again={again} />
        {may('author') && <Try one={one} />}
        <Changes one={one} live={live} all={all} />
      </div>
    </>
  );
}

// -- live --

function GoLive({ one, live, fourEyes, again }: { one: Revision; live: number | undefined; fourEyes: boolean; again: () => void }) {
  const { me, may } = useWho();
  const barred = fourEyes && one.author.operatorID === me.operatorID; // by four eyes
  const { route } = useLocation();
  const [asked, ask] = useState<'' | 'activate' | 'canary' | 'shadow'>('');
  const [why, say] = useState('');
  const [part, choose] = useState('0.05');
  const [projects, name] = useState('');
  const { busy, problem, done, act } = useAct();
  const latest = async () => (await answer(client.GET('/policy/changes'))).changes[0]?.number ?? 0;
  const reason = why ? { reason: why } : {};
  const close = (fine: boolean) => { ask(''); if (fine) again(); };
  if (one.number === live) return <Card title="Going live"><Empty>It is what every instance answers by. <a href="/console/policy">See them</a></Empty></Card>;
  if (!may('author')) return <Card title="Going live"><Empty>Your role reads. An approver makes revisions live.</Empty></Card>;
  return (
    <Card title="Going live" hint="From the most careful to all at once.">
      <Said done={done} problem={problem} />
      <div class="row">
        <Button onClick={() => ask('shadow')}>Shadow</Button>
        {may('approver') && !barred && <Button onClick={() => ask('canary')}>Canary</Button>}
        {may('approver') && !barred && <Button kind="main" onClick={() => ask('activate')}>Activate</Button>}
      </div>
      {barred && <p class="note">You have pushed it: with four eyes, another approver or admin makes it live.</p>}
      <p class="small muted">A shadow judges beside what is live and decides nothing. A canary judges some users, and ends by itself if it does worse.</p>
      {asked === 'activate' && (
        <Confirm title={`Activate revision ${one.number}`} busy={busy} cancel={() => ask('')} go={() => void act(async () => {
          await answer(client.POST('/policy/changes', { body: { revision: one.number, expected: await latest(), ...reason } }));
          return `Revision ${one.number} is live.`;
        }).then(close)}>
          <p>Every instance answers by it within a second{live ? `, in the place of revision ${live}` : ''}.</p>
          <Text label="Why" value={why} onInput={say} area />
        </Confirm>
      )}
      {asked === 'canary' && (
        <Confirm title="Begin a canary" busy={busy} cancel={() => ask('')} go={() => void act(async () => {
          const named = projects.split(/[\s,]+/).filter(Boolean);
          await answer(client.POST('/policy/canary', { body: { step: 'begin', revision: one.number, share: Number(part), expected: await latest(), ...(named.length > 0 && { projects: named }), ...reason } }));
          return 'It judges its share of users.';
        }).then((fine) => { close(fine); if (fine) route('/console/policy'); })}>
          <p>It ends by itself within a second when its policy fails, it offers or completes less, answers by default more often, or takes too long.</p>
          <Text label="Share of users, from 0 to 1" value={part} onInput={choose} />
          <Text label="Only of these projects" value={projects} onInput={name} placeholder="all" />
          <Text label="Why" value={why} onInput={say} area />
        </Confirm>
      )}
      {asked === 'shadow' && (
        <Confirm title="Begin a shadow" busy={busy} cancel={() => ask('')} go={() => void act(async () => {
          await answer(client.POST('/policy/shadow', { body: { step: 'begin', revision: one.number, share: 1, expected: await latest(), ...reason } }));
          return 'It judges beside what is live.';
        }).then((fine) => { close(fine); if (fine) route('/console/policy'); })}>
          <p>No answer waits for it. Where it would have answered otherwise is told with both reasons.</p>
          <Text label="Why" value={why} onInput={say} area />
        </Confirm>
      )}
    </Card>
  );
}

// -- whom it would touch --

const spans: [string, string][] = [['3600000', 'the last hour'], [String(day), 'the last day'], [String(7 * day), 'the last 7 days'], [String(30 * day), 'the last 30 days']];

function Try({ one }: { one: Revision }) {
  const [span, pick] = useState(String(day));
  const [action, choose] = useState('');
  const [found, show] = useState<Replay | undefined>();
  const { busy, problem, done, act } = useAct();
  return (
    <Card title="Whom it would touch" wide hint="Decisions that were recorded are judged by it, with facts found anew as of their moment, and what happened after them is looked up.">
      <form class="search" onSubmit={(event) => {
        event.preventDefault();
        void act(async () => {
          show(undefined);
          show(await answer(client.POST('/policy/replay', { body: { revision: one.number, since: isoAgo(Number(span)), limit: 50_000, ...(action && { action: action as 'login' }) } })));
        });
      }}>
        <Choice label="Decisions of" value={span} onChange={pick} options={spans} />
        <Choice label="About" value={action} onChange={choose} options={[['', 'everything'], ...Object.entries(actions)]} />
        <div class="row"><Button submit kind="main" busy={busy}>{busy ? 'Judging …' : 'Replay'}</Button></div>
      </form>
      <Said done={done} problem={problem} />
      {found && <Replayed of={found} />}
    </Card>
  );
}

const happened: Record<string, string> = { fraud: 'a confirmed fraud', completed: 'completed', 'fell-back': 'another way', failed: 'failed', aborted: 'given up', 'not-told': 'nothing is told' };

function Replayed({ of }: { of: Replay }) {
  const unjudged = Object.entries(of.notJudged);
  return (
    <div aria-live="polite">
      <p class="lead">{of.decisions === 0 ? 'Nothing was decided in this time.' : of.different === 0 ? `All ${number(of.decisions)} decisions would be the same.` : <><strong>{number(of.different)}</strong> of {number(of.decisions)} decisions would be others.</>}</p>
      {of.decisions > 0 && <Bar label="others" text={share(of.different / of.decisions)} of={of.different / of.decisions} tone="other" />}
      {[...of.changes, ...of.riskChanges].length > 0 && (
        <Table
          caption="Changes" name="replay" rows={[...of.changes, ...of.riskChanges]} empty="" identify={(c) => `${c.action} ${c.from} ${c.to}`}
          columns={[
            { label: 'About', value: (c) => actions[c.action] ?? c.action },
            { label: 'From row', value: (c) => c.from, cell: (c) => <code>{c.from}</code> },
            { label: 'To row', value: (c) => c.to, cell: (c) => (c.from === c.to ? <span class="muted">the same, with other options</span> : <code>{c.to}</code>) },
            { label: 'How many', numeric: true, value: (c) => c.count },
            { label: 'What happened after', value: (c) => Object.entries(c.then ?? {}).map(([what, n]) => `${n} ${happened[what] ?? what}`).join(', '), cell: (c) => <Then of={c.then} /> },
            { label: 'Such as', value: (c) => c.examples[0]?.decisionID, cell: (c) => <>{c.examples.slice(0, 3).map((e) => <a key={e.decisionID} class="example" href={`/console/decisions/${e.decisionID}`} title={`${e.was} → ${e.is}`}>{e.userID ?? 'nobody known'}</a>)}</> },
          ]}
        />
      )}
      <Segments of={of.segments} />
      {(of.skipped > 0 || of.missing > 0 || unjudged.length > 0) && (
        <p class="small muted">
          {[of.skipped > 0 && `${number(of.skipped)} had no answer of the policy`, of.missing > 0 && `${number(of.missing)} were made by revisions that are not kept`, ...unjudged.map(([why, n]) => `${number(n)} cannot be judged: ${why}`)].filter(Boolean).join(' · ')}
        </p>
      )}
    </div>
  );
}

const segments: Record<string, string> = { project: 'Project', os: 'System', browser: 'Browser', device: 'Device' };

function Segments({ of }: { of: Replay['segments'] }) {
  if (of.length === 0) return null;
  return (
    <details>
      <summary>Whom that is, and what happened to them</summary>
      <Table
        caption="By what they have in common" name="replay-segments" rows={of} empty="" identify={(s) => `${s.by} ${s.of}`}
        columns={[
          { label: 'By', value: (s) => segments[s.by] ?? s.by },
          { label: 'Of', value: (s) => s.of },
          { label: 'How many', numeric: true, value: (s) => s.count },
          { label: 'What happened after', value: (s) => Object.entries(s.then).map(([what, n]) => `${n} ${happened[what] ?? what}`).join(', '), cell: (s) => <Then of={s.then} /> },
        ]}
      />
    </details>
  );
}

function Then({ of }: { of: Record<string, number> | undefined }) {
  const entries = Object.entries(of ?? {}).sort(([, a], [, b]) => b - a);
  if (entries.length === 0) return <span class="muted">nothing is told</span>;
  return <>{entries.map(([what, n]) => <Badge key={what} tone={what === 'fraud' ? 'bad' : what === 'completed' ? 'good' : 'plain'}>{number(n)} {happened[what] ?? what}</Badge>)}</>;
}

// -- what it changes --

function Changes({ one, live, all }: { one: Revision; live: number | undefined; all: Revision[] }) {
  const [against, pick] = useState(String(one.parent ?? (live !== one.number ? live : undefined) ?? ''));
  const files = (of: number, signal: AbortSignal) => answer(client.GET('/policy/revisions/{number}/bundle', { params: { path: { number: of } }, signal })).then(({ bundle }) => unpack(bundle));
  const loaded = useLoad(async (signal) => {
    const [after, before] = await Promise.all([files(one.number, signal), against ? files(Number(against), signal) : {}]);
    return { after, found: differences(before, after) };
  }, [one.number, against]);
  const options = useMemo((): [string, string][] => [['', 'nothing: all files'], ...all.filter((r) => r.number !== one.number).map((r): [string, string] => [String(r.number), `revision ${r.number}`])], [all]);
  return (
    <Card title="What it changes" wide aside={<Choice label="Against" value={against} onChange={pick} options={options} />}>
      <Shown of={loaded}>
        {({ found }) => (found.length === 0 ? <Empty>Nothing: the files are the same.</Empty> : <ul class="files">{found.map((d) => <File key={d.name} of={d} open={found.length <= 4 && d.kind === 'changed'} />)}</ul>)}
      </Shown>
    </Card>
  );
}

function File({ of, open }: { of: Difference; open: boolean }) {
  const [shown, show] = useState(open);
  return (
    <li>
      <details open={shown} onToggle={(event) => show(event.currentTarget.open)}>
        <summary><code>{of.name}</code> <Badge tone={of.kind === 'removed' ? 'bad' : of.kind === 'added' ? 'good' : 'plain'}>{of.kind}</Badge></summary>
        {shown && <Diff name={of.name} before={of.before} after={of.after} />}
      </details>
    </li>
  );
}
