// Events as they happen: of users and their passkeys, of risk, and of what operators and programs did.
import { useEffect, useState } from 'preact/hooks';
import { useLocation } from 'preact-iso';
import { answer, client, type Schemas } from '../api';
import { useLoad } from '../load';
import { useStream } from '../stream';
import { Badge, Card, Choice, Empty, Failed, Shown, Table, Text, Title, When, type Tone } from '../ui';
import { Following } from './decisions';
import { useProjects } from './users';

/** An event as the AsyncAPI document describes it. */
interface Happened { id: string; type: string; createdMs: number; user?: string; decision?: string; route?: string; risk?: { action?: string; reasons?: string[] }; [more: string]: unknown }

const risky = ['risk-decided', 'risk-feedback', 'login-events-limited', 'login-code-failed', 'passkey-counter-regressed', 'passkey-backup-changed', 'authenticator-status-changed', 'new-environment', 'new-country', 'step-up-started', 'step-up-passed', 'step-up-failed'];
const kinds: [string, string][] = [['', 'everything'], ['risk', 'risk and alerts'], ['one', 'one type …']];

const tone = (type: string): Tone => (/(failed|error|regressed|limited|refused|barred)/.test(type) ? 'bad' : risky.includes(type) ? 'warn' : /(completed|created|passed)/.test(type) ? 'good' : 'plain');

export function Events() {
  const { query, route } = useLocation();
  const projects = useProjects();
  const go = (to: Record<string, string>) => {
    const search = new URLSearchParams(Object.entries({ ...query, ...to }).filter(([, value]) => value));
    route(`/console/events${search.size ? '?' + search : ''}`);
  };
  const of = query.of === 'audit' ? 'audit' : 'users';
  return (
    <>
      <Title aside={<Choice label="Of" value={of} onChange={(to) => go({ of: to === 'audit' ? 'audit' : '', type: '', kind: '' })} options={[['users', 'users and passkeys'], ['audit', 'operators and programs']]} />}>Events</Title>
      {of === 'audit' ? <Audit type={query.type ?? ''} go={go} /> : (
        <Shown of={projects}>
          {({ projects: all }) => (all.length === 0 ? <Card><Empty>There is no project yet.</Empty></Card>
            : <Watched key={query.project ?? ''} projects={all} project={query.project ?? all[0]!.projectID} kind={query.kind ?? ''} type={query.type ?? ''} user={query.user ?? ''} go={go} />)}
        </Shown>
      )}
    </>
  );
}

function Watched({ projects, project, kind, type, user, go }: { projects: Schemas['ProjectList']['projects']; project: string; kind: string; type: string; user: string; go: (to: Record<string, string>) => void }) {
  const [typed, write] = useState({ type, user });
  useEffect(() => write({ type, user }), [type, user]);
  const search = new URLSearchParams([...(kind === 'risk' ? risky : type ? [type] : []).map((t) => ['type', t]), ...(user ? [['userID', user]] : [])]);
  const live = useStream(`/projects/${project}/events/stream${search.size ? '?' + search : ''}`, (event) => event !== 'message', (data) => JSON.parse(data) as Happened);
  return (
    <Card>
      <form class="search" onSubmit={(event) => { event.preventDefault(); go({ ...typed, kind: typed.type ? 'one' : kind }); }}>
        <Choice label="Project" value={project} onChange={(to) => go({ project: to })} options={projects.map((p) => [p.projectID, p.name ? `${p.name} (${p.projectID})` : p.projectID])} />
        <Choice label="Kind" value={kind} onChange={(to) => go({ kind: to, ...(to !== 'one' && { type: '' }) })} options={kinds} />
        {kind === 'one' && <Text label="Type" value={typed.type} onInput={(to) => write({ ...typed, type: to })} placeholder="login-completed" />}
        <Text label="User" value={typed.user} onInput={(to) => write({ ...typed, user: to })} placeholder="usr-…" />
        <div class="row"><button type="submit" class="action">Look</button></div>
      </form>
      <Following of={live} what="event" />
      {live.rows.length === 0 ? <Empty>Sign in on <a href="/" target="_blank" rel="noreferrer">the page to try passkeys with</a>, and see it here.</Empty> : (
        <Table
          caption="Events" name="events" rows={live.rows} sorted find={false} perPage={1000} identify={(e) => e.id} empty=""
          columns={[
            { label: 'When', value: (e) => new Date(e.createdMs).toISOString(), cell: (e) => <When at={e.createdMs} /> },
            { label: 'What', value: (e) => e.type, cell: (e) => <><Badge tone={tone(e.type)}>{e.type}</Badge> <span class="muted">{[e.route, e.risk?.action, ...(e.risk?.reasons ?? [])].filter(Boolean).join(', ')}</span></> },
            { label: 'User', value: (e) => e.user, cell: (e) => (e.user ? <a href={`/console/users/${project}/${e.user}?event=${encodeURIComponent(e.id)}&at=${e.createdMs}`}>{e.user}</a> : <span class="muted">nobody known</span>) },
            { label: 'Decision', value: (e) => e.decision, cell: (e) => (e.decision ? <a href={`/console/decisions/${e.decision}`}>Why?</a> : '–') },
            { label: 'Event', value: (e) => e.id, cell: (e) => <details><summary>Show</summary><pre tabIndex={0}>{JSON.stringify(e, null, 2)}</pre></details> },
          ]}
        />
      )}
      <p class="small"><a href={`/console/projects/${project}`}>Webhooks of this project</a>: endpoints, deliveries, and what was not delivered.</p>
    </Card>
  );
}

// -- what operators and programs did --

function Audit({ type, go }: { type: string; go: (to: Record<string, string>) => void }) {
  const [typed, write] = useState(type);
  useEffect(() => write(type), [type]);
  const loaded = useLoad((signal) => answer(client.GET('/audit', { params: { query: { limit: 100, ...(type && { type }) } }, signal })), [type], 2000);
  return (
    <Card hint="The newest hundred, looked up every two seconds. The whole trail is below Operators and audit.">
      <form class="search" onSubmit={(event) => { event.preventDefault(); go({ type: typed.trim() }); }}>
        <Text label="Types" value={typed} onInput={write} placeholder="policy-changed,operator-acted" />
        <div class="row"><button type="submit" class="action">Look</button></div>
      </form>
      {loaded.problem && !loaded.data && <Failed problem={loaded.problem} again={loaded.reload} />}
      {loaded.data && (
        <>
          {loaded.problem && <Failed problem={loaded.problem} again={loaded.reload} older />}
          <p class="row" role="status"><span class={loaded.problem ? 'live broken' : 'live'}>{loaded.problem ? 'connecting again' : 'live'}</span></p>
          <Table
            caption="Security events" name="security-events" rows={loaded.data.events} identify={(e) => e.id} empty="Nothing of it was done." perPage={50}
            columns={[
              { label: 'When', value: (e) => e.at, cell: (e) => <When at={e.at} /> },
              { label: 'What', value: (e) => e.type, cell: (e) => <Badge>{e.type}</Badge> },
              { label: 'By', value: (e) => e.actor },
              { label: 'Project', value: (e) => e.projectID },
              { label: 'Event', value: (e) => e.id, cell: (e) => <details><summary>Show</summary><pre tabIndex={0}>{JSON.stringify(e.event, null, 2)}</pre></details> },
            ]}
          />
        </>
      )}
    </Card>
  );
}
