// Which revision answers, what is tried beside it, what was done, and all revisions.
import { useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { answer, client, type Schemas } from '../api';
import { useAct, useLoad, type Loaded } from '../load';
import { useWho } from '../session';
import { Badge, Bar, Button, Card, Confirm, Empty, Said, Shown, Table, Text, Title, When } from '../ui';
import { milliseconds, number, share } from '../words';
import { changeWords } from './overview';

type Canary = Schemas['PolicyCanary'];
type Shadow = Schemas['PolicyShadow'];
type Change = Schemas['PolicyChange'];

/** What may not be there: nothing is tried, as a rule. */
const maybe = <T,>(call: Promise<T>): Promise<T | null> => call.catch((failed: { status?: number }) => { if (failed.status === 404) return null; throw failed; });

export function Policy() {
  const { may } = useWho();
  const revisions = useLoad((signal) => answer(client.GET('/policy/revisions', { signal })), [], 15_000);
  const status = useLoad((signal) => answer(client.GET('/policy/status', { signal })), [], 3000);
  const changes = useLoad((signal) => answer(client.GET('/policy/changes', { signal })), [], 5000);
  const latest = status.data?.live; // says what is tried, so that nothing is asked for that there is not
  const [tried, beside] = [latest?.canary?.change ?? 0, latest?.shadow?.change ?? 0];
  const canary = useLoad((signal) => (tried ? maybe(answer(client.GET('/policy/canary', { signal }))) : Promise.resolve(null)), [tried], 3000);
  const shadow = useLoad((signal) => (beside ? maybe(answer(client.GET('/policy/shadow', { signal }))) : Promise.resolve(null)), [beside], 5000);
  const again = () => [revisions, status, changes, canary, shadow].forEach((l) => l.reload());
  const live = revisions.data?.live;
  const base = live ?? revisions.data?.revisions[0]?.number;
  return (
    <>
      <Title aside={may('author') && base && <a class="action main" href={`/console/policy/${base}/edit`}>Change it</a>}>Policy</Title>
      <div class="grid">
        <Card title="Live" wide>
          <Shown of={status}>{(s) => <Instances of={s} again={again} latest={changes.data?.changes[0]} />}</Shown>
        </Card>
        {revisions.data && <Waiting of={revisions.data} changes={changes.data?.changes ?? []} canary={canary.data?.division.revision} />}
        <CanaryCard of={canary} again={again} />
        <ShadowCard of={shadow} again={again} />
        <Card title="Revisions" wide>
          <Shown of={revisions}>
            {(all) => all.revisions.length === 0 && may('author') ? <Begin again={again} /> : (
              <Table
                caption="Revisions" name="revisions" rows={all.revisions} identify={(r) => String(r.number)}
                empty={<>Nothing has been pushed yet: the policy comes with the program, or from a directory. <code>keyward policy push policies -m “as shipped”</code> puts it here.</>}
                columns={[
                  { label: 'Revision', numeric: true, value: (r) => r.number, cell: (r) => <a href={`/console/policy/${r.number}`}>{r.number}</a> },
                  { label: 'What it changes', value: (r) => r.message, cell: (r) => <>{r.message}{r.number === all.live && <> <Badge tone="good">live</Badge></>}</> },
                  { label: 'By', value: (r) => r.author.name },
                  { label: 'Pushed', value: (r) => r.created, cell: (r) => <When at={r.created} /> },
                  { label: 'From', numeric: true, value: (r) => r.parent, cell: (r) => (r.parent ? <a href={`/console/policy/${r.parent}`}>{r.parent}</a> : '–') },
                  { label: 'Tests', numeric: true, value: (r) => r.tests },
                ]}
              />
            )}
          </Shown>
        </Card>
        <Card title="What was done" wide>
          <Shown of={changes}>
            {(all) => (
              <Table
                caption="Changes" name="policy-changes" rows={all.changes} identify={(c) => String(c.number)} empty="Nothing has been made live yet." perPage={20}
                columns={[
                  { label: 'When', value: (c) => c.at, cell: (c) => <When at={c.at} /> },
                  { label: 'What', value: changeWords, cell: (c) => <>{changeWords(c)}{c.canary && <span class="muted"> · {share(c.canary.share)} of users</span>}</> },
                  { label: 'Revision', numeric: true, value: (c) => c.canary?.revision ?? c.shadow?.revision ?? c.revision, cell: (c) => { const n = c.canary?.revision ?? c.shadow?.revision ?? c.revision; return <a href={`/console/policy/${n}`}>{n}</a>; } },
                  { label: 'By', value: (c) => c.by.name || 'Keyward' },
                  { label: 'Why', value: (c) => c.reason },
                ]}
              />
            )}
          </Shown>
        </Card>
      </div>
    </>
  );
}

/** What has been pushed since what is live and waits for somebody to make it live, and who that may be. */
function Waiting({ of, changes, canary }: { of: Schemas['PolicyRevisionList']; changes: Change[]; canary: number | undefined }) {
  const { me, may } = useWho();
  const been = new Set(changes.filter((c) => ['activation', 'promotion', 'rollback'].includes(c.kind)).map((c) => c.revision));
  const waiting = of.revisions.filter((r) => r.number > (of.live ?? 0) && !been.has(r.number));
  if (waiting.length === 0) return null;
  const own = (r: Schemas['PolicyRevision']) => of.fourEyes && r.author.operatorID === me.operatorID;
  return (
    <Card title="Waiting for approval" wide hint={of.fourEyes ? 'Four eyes: an approver or admin other than who pushed a revision makes it live. Going back takes two.' : 'An approver or admin makes a revision live, who pushed it as well: policy_four_eyes is off.'}>
      <ul class="bars">
        {waiting.map((r) => (
          <li key={r.number}>
            <a href={`/console/policy/${r.number}`}>Revision {r.number}</a> {r.message.split('\n')[0]} <span class="muted">by {r.author.name}, <When at={r.created} relative /></span>
            {r.number === canary && <Badge tone="warn">canary</Badge>}
            {own(r) ? <span class="small">You pushed it: somebody else approves it.</span>
              : may('approver') ? <a class="action main" href={`/console/policy/${r.number}`}>Look at it and approve</a> : <span class="small muted">Your role does not approve.</span>}
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** Where nothing has been pushed, what comes with the program can be the first revision. */
function Begin({ again }: { again: () => void }) {
  const { route } = useLocation();
  const { busy, problem, done, act } = useAct();
  return (
    <>
      <Empty>Nothing has been pushed yet: the policy comes with the program, or from a directory. Begin with what comes with the program, or push a directory: <code>keyward policy push policies -m “as shipped”</code>.</Empty>
      <Said done={done} problem={problem} />
      <div class="row"><Button kind="main" busy={busy} onClick={() => void act(async () => {
        const { bundle } = await answer(client.GET('/policy/shipped'));
        const pushed = await answer(client.POST('/policy/revisions', { body: { bundle, message: 'As it comes with the program' } }));
        again();
        route(`/console/policy/${pushed.number}`);
      })}>Begin with what comes with the program</Button></div>
    </>
  );
}

function Instances({ of, again, latest }: { of: Schemas['PolicyStatus']; again: () => void; latest: Change | undefined }) {
  const { may } = useWho();
  const [asking, ask] = useState(false);
  const { busy, problem, done, act } = useAct();
  const back = latest?.before;
  return (
    <>
      <p class="lead">
        {of.live ? <>Revision <a href={`/console/policy/${of.live.revision}`}>{of.live.revision}</a> is live, made so by {of.live.by.name || 'Keyward'} <When at={of.live.at} relative />.</>
          : 'Nothing of the store is live: the policy comes from a directory, or with the program.'}
      </p>
      {may('approver') && of.live && back !== undefined && back > 0 && <div class="row"><Button onClick={() => ask(true)}>Roll back to {back}</Button></div>}
      <Said done={done} problem={problem} />
      <Table
        caption="Instances" name="instances" rows={of.instances} identify={(i) => i.instance} empty="No instance is heard of." find={false}
        columns={[
          { label: 'Instance', value: (i) => i.host, cell: (i) => <>{i.host} <span class="muted small">{i.instance.slice(0, 8)}</span></> },
          { label: 'Answers by', value: (i) => i.revision ?? i.name, cell: (i) => <>{i.revision ?? <code>{i.name}</code>} {i.lapsed ? <Badge tone="bad">safe defaults only</Badge> : i.behind ? <Badge tone="warn">behind</Badge> : <Badge tone="good">up to date</Badge>}</> },
          { label: 'Since', value: (i) => i.since, cell: (i) => <When at={i.since} relative /> },
          { label: 'From', value: (i) => i.source },
          { label: 'Refused', value: (i) => i.refused, cell: (i) => i.refused ?? 'no' },
          { label: 'Heard', value: (i) => i.heard, cell: (i) => <When at={i.heard} relative /> },
        ]}
      />
      {asking && (
        <Confirm title={`Roll back to ${back}`} busy={busy} cancel={() => ask(false)} go={() => void act(async () => {
          await answer(client.POST('/policy/changes', { body: { reason: 'rolled back in the console', ...(latest && { expected: latest.number }) } }));
          again();
          return `Revision ${back} is live again.`;
        }).then(() => ask(false))}>
          <p>Every instance answers by revision {back} within a second. What is tried beside ends.</p>
        </Confirm>
      )}
    </>
  );
}

const steer = (body: Schemas['PolicyCanaryReq']) => answer(client.POST('/policy/canary', { body }));

function CanaryCard({ of, again }: { of: Loaded<Canary | null>; again: () => void }) {
  const { may } = useWho();
  const [asked, ask] = useState<'' | 'raise' | 'promote' | 'end'>('');
  const [to, raise] = useState('0.25');
  const { busy, problem, done, act } = useAct();
  const step = (body: Schemas['PolicyCanaryReq'], said: string) => act(async () => { await steer(body); again(); return said; }).then(() => ask(''));
  return (
    <Card title="Canary" hint="A revision that judges some users, and ends by itself when it does worse.">
      <Said done={done} problem={problem} />
      <Shown of={of}>
        {(c) => c === null ? <Empty>None is under way. Open a revision to begin one with it.</Empty> : (
          <>
            <p><a href={`/console/policy/${c.division.revision}`}>Revision {c.division.revision}</a> judges {share(c.division.share)} of users{c.division.projects && <> of {c.division.projects.join(', ')}</>} since <When at={c.begun} relative />. {c.division.held && <Badge tone="warn">held</Badge>} {c.passed && <Badge tone="bad">{c.passed}</Badge>}</p>
            <Arms of={c} />
            {may('approver') && (
              <div class="row">
                <Button onClick={() => ask('raise')}>Raise</Button>
                {!c.division.held && <Button busy={busy} onClick={() => void step({ step: 'hold' }, 'It is held as it is.')}>Hold</Button>}
                <Button kind="main" onClick={() => ask('promote')}>Promote</Button>
                <Button kind="danger" onClick={() => ask('end')}>End</Button>
              </div>
            )}
            {asked === 'raise' && (
              <Confirm title="Raise the canary" busy={busy} cancel={() => ask('')} go={() => void step({ step: 'raise', share: Number(to) }, `It judges ${share(Number(to))} of users.`)}>
                <Text label="Share of users, from 0 to 1" value={to} onInput={raise} />
              </Confirm>
            )}
            {asked === 'promote' && (
              <Confirm title="Promote the canary" busy={busy} cancel={() => ask('')} go={() => void step({ step: 'promote' }, `Revision ${c.division.revision} is live.`)}>
                <p>Revision {c.division.revision} becomes live for everybody.</p>
              </Confirm>
            )}
            {asked === 'end' && (
              <Confirm title="End the canary" danger busy={busy} cancel={() => ask('')} go={() => void step({ step: 'end' }, 'It has ended: what is live judges everybody.')}>
                <p>What is live judges everybody. Ceremonies under way end as they began.</p>
              </Confirm>
            )}
          </>
        )}
      </Shown>
    </Card>
  );
}

export function Arms({ of }: { of: Canary }) {
  const b = of.bounds;
  const rate = (part: number, whole: number) => (whole ? part / whole : undefined);
  const rows: { what: string; of: (s: Schemas['PolicySide']) => string; bound: string }[] = [
    { what: 'Decisions', of: (s) => number(s.decisions), bound: '' },
    { what: 'Offered of asked', of: (s) => share(rate(s.allowed, s.asked)), bound: b.allow ? `within ${share(b.allow)}` : '' },
    { what: 'Completed of offered', of: (s) => share(rate(s.completed, s.offered)), bound: b.completed ? `at most ${share(b.completed)} less` : '' },
    { what: 'Answered by default', of: (s) => share(rate(s.denied, s.decisions)), bound: b.defaultDeny ? `at most ${share(b.defaultDeny)} more` : '' },
    { what: 'Policy failed', of: (s) => number(s.errors), bound: `at most ${number(b.errors ?? 0)}` },
    { what: 'p99 of evaluation', of: (s) => (s.evaluations ? milliseconds(s.p99Ms) : '–'), bound: b.p99Factor ? `at most ${b.p99Factor} times` : '' },
  ];
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <caption class="heard">Both arms side by side</caption>
        <thead><tr><th scope="col">&nbsp;<span class="heard">Measure</span></th><th scope="col" class="num">Base</th><th scope="col" class="num">Canary</th><th scope="col">Bound</th></tr></thead>
        <tbody>{rows.map((r) => <tr key={r.what}><th scope="row">{r.what}</th><td class="num">{r.of(of.base)}</td><td class="num">{r.of(of.canary)}</td><td class="muted">{r.bound}</td></tr>)}</tbody>
      </table>
    </div>
  );
}

function ShadowCard({ of, again }: { of: Loaded<Shadow | null>; again: () => void }) {
  const { may } = useWho();
  const { busy, problem, done, act } = useAct();
  return (
    <Card title="Shadow" hint="A revision that judges beside what is live, and decides nothing.">
      <Said done={done} problem={problem} />
      <Shown of={of}>
        {(s) => s === null ? <Empty>None is under way. Open a revision to begin one with it.</Empty> : (
          <>
            <p><a href={`/console/policy/${s.share.revision}`}>Revision {s.share.revision}</a> judges {share(s.share.share)} of decisions since <When at={s.begun} relative />.</p>
            <Bar label="the same" text={number(s.same)} of={s.compared ? s.same / s.compared : 0} />
            <Bar label="another answer" text={number(s.different)} of={s.compared ? s.different / s.compared : 0} tone="other" />
            {s.failed > 0 && <p class="note">It failed {number(s.failed)} times: {s.failure}</p>}
            {s.skipped > 0 && <p class="small muted">{number(s.skipped)} were not judged: too many waited.</p>}
            <ul class="story">{s.differences.slice(0, 5).map((d, n) => (
              <li key={n}>{number(d.count)} × {d.action}: <code>{d.live.row}</code> → <code>{d.shadow.row}</code> {d.live.allow !== d.shadow.allow && <Badge tone="warn">{d.shadow.allow ? 'would be offered' : 'would not be offered'}</Badge>} {d.examples[0] && <a href={`/console/decisions/${d.examples[0]}`}>an example</a>}</li>
            ))}</ul>
            {may('author') && <div class="row"><Button busy={busy} onClick={() => void act(async () => { await answer(client.POST('/policy/shadow', { body: { step: 'end' } })); again(); return 'It has ended.'; })}>End</Button></div>}
          </>
        )}
      </Shown>
    </Card>
  );
}

