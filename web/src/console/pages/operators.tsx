// Who may do what, and who did what.
import { useState } from 'preact/hooks';
import { answer, client, type Schemas } from '../api';
import { asProblem, useAct, useLoad } from '../load';
import { useWho } from '../session';
import { Badge, Button, Card, Choice, Confirm, Empty, Failed, Said, Shown, Table, Text, Title, When } from '../ui';
import type { Problem } from '../api';
import { Passkeys } from './passkeys';

type Account = Schemas['OperatorAccount'];
type Trail = Schemas['AuditEvent'];

const roles: [Schemas['OperatorRole'], string][] = [['viewer', 'viewer: reads'], ['author', 'author: pushes revisions'], ['approver', 'approver: makes them live'], ['admin', 'admin: manages operators']];

export function Operators() {
  const { me, may } = useWho();
  return (
    <>
      <Title>Operators and audit</Title>
      <div class="grid">
        {may('admin') && !me.projects ? <Accounts /> : <Card title="Operators" wide><Empty>Who may do what is an admin’s to see. You are {me.name}, {me.role}{me.projects ? ` of ${me.projects.join(', ')}` : ''}.</Empty></Card>}
        <Passkeys />
        <Audit />
      </div>
    </>
  );
}

function Accounts() {
  const { me } = useWho();
  const loaded = useLoad((signal) => answer(client.GET('/operators', { signal })), []);
  const [asked, ask] = useState<'' | 'new' | Account>('');
  const [name, call] = useState('');
  const [role, pick] = useState<Schemas['OperatorRole']>('viewer');
  const [projects, limit] = useState('');
  const [seconds, last] = useState('7776000');
  const [token, show] = useState('');
  const [looked, look] = useState<Account | undefined>();
  const { busy, problem, done, act } = useAct();
  return (
    <>
    <Card title="Operators" wide>
      <Said done={done} problem={problem} />
      {token && <div class="note"><p>This is the token. It is not shown again:</p><p><code>{token}</code></p><Button onClick={() => show('')}>I have kept it</Button></div>}
      <Shown of={loaded}>
        {({ operators }) => (
          <Table
            caption="Operators" name="operators" rows={operators} identify={(o) => o.operatorID} empty="There is none." find={false}
            tools={<Button onClick={() => ask('new')}>Make an operator</Button>}
            columns={[
              { label: 'Name', value: (o) => o.name, cell: (o) => <>{o.name}{o.operatorID === me.operatorID && <span class="muted"> (you)</span>}</> },
              { label: 'Role', value: (o) => o.role }, { label: 'Projects', value: (o) => o.projects?.join(' ') ?? 'all' },
              { label: 'Made', value: (o) => o.created, cell: (o) => <><When at={o.created} /> by {o.createdBy}{o.outside && <span class="muted"> (signs in there)</span>}</> },
              { label: 'Expires', value: (o) => o.expires, cell: (o) => (o.expired ? <Badge tone="bad">expired</Badge> : o.expires ? <When at={o.expires} relative /> : 'never') },
              { label: 'Passkeys', value: (o) => o.passkeys, cell: (o) => (o.passkeys > 0 && o.operatorID !== me.operatorID ? <Button onClick={() => look(o)}>{o.passkeys} of {o.name}</Button> : o.passkeys) },
              { label: 'Do', value: () => '', cell: (o) => (o.operatorID === me.operatorID ? '' : <Button kind="danger" onClick={() => ask(o)}>Revoke</Button>) },
            ]}
          />
        )}
      </Shown>
      {asked === 'new' && (
        <Confirm title="Make an operator" busy={busy} cancel={() => ask('')} go={() => void act(async () => {
          const named = projects.split(/[\s,]+/).filter(Boolean);
          const made = await answer(client.POST('/operators', { body: { name, role, ...(named.length > 0 && { projects: named }), ...(seconds && { seconds: Number(seconds) }) } }));
          show(made.token);
          loaded.reload();
        }).then((fine) => { if (fine) ask(''); })}>
          <Text label="Name" value={name} onInput={call} required />
          <Choice label="Role" value={role} onChange={(to) => pick(to as Schemas['OperatorRole'])} options={roles} />
          <Text label="Only of these projects" value={projects} onInput={limit} placeholder="all" />
          <Choice label="The token works" value={seconds} onChange={last} options={[['2592000', 'for 30 days'], ['7776000', 'for 90 days'], ['31536000', 'for a year'], ['', 'until it is revoked']]} />
          <Said done="" problem={problem} />
        </Confirm>
      )}
      {typeof asked === 'object' && (
        <Confirm title={`Revoke ${asked.name}`} danger busy={busy} cancel={() => ask('')} go={() => void act(async () => {
          await answer(client.DELETE('/operators/{operatorID}', { params: { path: { operatorID: asked.operatorID } } }));
          loaded.reload();
          return `${asked.name} is revoked.`;
        }).then(() => ask(''))}><p>The token and the sessions of {asked.name} stop working at once.</p></Confirm>
      )}
    </Card>
    {looked && <Passkeys of={looked.operatorID} name={looked.name} close={() => { look(undefined); loaded.reload(); }} />}
    </>
  );
}

function Audit() {
  const [type, pick] = useState('');
  const [actor, name] = useState('');
  const [more, add] = useState<{ of: string; events: Trail[]; next: string | undefined }>({ of: '', events: [], next: undefined });
  const [problem, fail] = useState<Problem | undefined>();
  const of = `${type} ${actor}`;
  const get = (before?: string, signal?: AbortSignal) => answer(client.GET('/audit', { params: { query: { ...(type && { type }), ...(actor && { actor }), ...(before && { before }), limit: 100 } }, ...(signal && { signal }) }));
  const loaded = useLoad((signal) => get(undefined, signal), [of], 15_000);
  const grown = more.of === of ? more : { of, events: [], next: undefined };
  const next = grown.events.length > 0 ? grown.next : loaded.data?.next;
  return (
    <Card title="What was done" wide aside={<div class="row"><Text label="By" value={actor} onInput={name} placeholder="anybody" /><Text label="Type" value={type} onInput={pick} placeholder="any" /></div>}>
      <Shown of={loaded} rows={8}>
        {(trail) => (
          <>
            <Table
              caption="Security events" name="audit" rows={[...trail.events, ...grown.events]} identify={(e) => e.id} empty="Nothing was done that is kept." sorted perPage={100}
              columns={[
                { label: 'When', value: (e) => e.at, cell: (e) => <When at={e.at} /> }, { label: 'What', value: (e) => e.type, cell: (e) => <code>{e.type}</code> },
                { label: 'By', value: (e) => e.actor, cell: (e) => <>{e.actor} <span class="muted">{e.actorKind}</span></> }, { label: 'Project', value: (e) => e.projectID },
                { label: 'In full', value: (e) => JSON.stringify(e.event), cell: (e) => <details><summary>Show</summary><pre tabIndex={0}>{JSON.stringify(e.event, null, 2)}</pre></details> },
              ]}
            />
            {problem && <Failed problem={problem} />}
            {next && <div class="row"><Button onClick={() => void get(next).then((older) => { add({ of, events: [...grown.events, ...older.events], next: older.next }); fail(undefined); }).catch((failed: unknown) => fail(asProblem(failed)))}>Show older</Button></div>}
          </>
        )}
      </Shown>
    </Card>
  );
}
