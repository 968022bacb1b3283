// Projects with their keys, and webhooks with what was delivered and what was not.
import { useState } from 'preact/hooks';
import { useRoute } from 'preact-iso';
import { answer, client, type Schemas } from '../api';
import { useAct, useLoad } from '../load';
import { useWho } from '../session';
import { Badge, Button, Card, Confirm, Empty, Facts, Pager, Said, Shown, Table, Text, Title, When } from '../ui';
import { milliseconds, number } from '../words';
import { useProjects } from './users';

export function Projects() {
  const projects = useProjects();
  return (
    <>
      <Title>Projects</Title>
      <Card>
        <Shown of={projects}>
          {({ projects: all }) => (
            <Table
              caption="Projects" name="projects" rows={all} identify={(p) => p.projectID} empty="There is none."
              columns={[
                { label: 'Project', value: (p) => p.projectID, cell: (p) => <a href={`/console/projects/${p.projectID}`}>{p.projectID}</a> },
                { label: 'Name', value: (p) => p.name },
                { label: 'RP ID', value: (p) => p.rpID, cell: (p) => <code>{p.rpID}</code> },
                { label: 'Keys', numeric: true, value: (p) => p.keys },
                { label: 'Sign-up', value: (p) => (p.signUp ? 'open' : 'closed') },
                { label: 'Since', value: (p) => p.created, cell: (p) => <When at={p.created} /> },
              ]}
            />
          )}
        </Shown>
      </Card>
    </>
  );
}

export function Project() {
  const { params } = useRoute();
  const path = { projectID: params.project ?? '' };
  const loaded = useLoad((signal) => answer(client.GET('/projects/{projectID}', { params: { path }, signal })), [path]);
  return (
    <>
      <p class="crumbs"><a href="/console/projects">Projects</a></p>
      <Shown of={loaded} rows={8}>
        {(p) => (
          <>
            <Title aside={<a class="action" href={`/console/users?projectID=${p.projectID}`}>Its users</a>}>{p.name || p.projectID}</Title>
            <div class="grid">
              <Card title="Settings" wide>
                <Facts of={[
                  ['Project', <code>{p.projectID}</code>], ['RP ID', <code>{p.rpID}</code>], ['RP name', p.rpName], ['Origins', p.origins.join(', ')], ['Hosts', p.hosts.join(', ')], ['CNAME', p.cname],
                  ['User verification', p.userVerification ?? 'as the installation has it'], ['Attestation', p.conveyance + (p.refusesUnverified ? ', only verified' : '')], ['Sign-up', p.signUp ? 'open to visitors' : 'closed'],
                  ['Identifiers', p.identifiers.join(', ')], ['Access tokens of', p.issuers.map((i) => i.url).join(', ')], ['Since', <When at={p.created} />],
                ]} />
              </Card>
              <Keys path={path} />
              <Webhooks path={path} />
            </div>
          </>
        )}
      </Shown>
    </>
  );
}

interface Path { projectID: string }

function Keys({ path }: { path: Path }) {
  const { may } = useWho();
  const loaded = useLoad((signal) => answer(client.GET('/projects/{projectID}/keys', { params: { path }, signal })), [path]);
  const [asked, ask] = useState<'' | 'new' | Schemas['ProjectKey']>('');
  const [name, call] = useState('');
  const [rights, grant] = useState('*');
  const [secret, show] = useState('');
  const { busy, problem, done, act } = useAct();
  return (
    <Card title="API keys" wide>
      <Said done={done} problem={problem} />
      {secret && <div class="note"><p>This is the key. It is not shown again:</p><p><code>{secret}</code></p><Button onClick={() => show('')}>I have kept it</Button></div>}
      <Shown of={loaded}>
        {({ keys, permissions }) => (
          <>
            <Table
              caption="API keys" name="keys" rows={keys} identify={(k) => k.keyID} empty="It has none." find={false}
              tools={may('admin') && <Button onClick={() => ask('new')}>Make a key</Button>}
              columns={[
                { label: 'Name', value: (k) => k.name }, { label: 'Key', value: (k) => k.keyID, cell: (k) => <code>{k.keyID}</code> },
                { label: 'May', value: (k) => k.permissions.join(' '), cell: (k) => (k.permissions.includes('*') ? 'everything' : k.permissions.join(', ')) },
                { label: 'Made', value: (k) => k.created, cell: (k) => <When at={k.created} /> },
                { label: 'Expires', value: (k) => k.expires, cell: (k) => (k.expired ? <Badge tone="bad">expired</Badge> : k.expires ? <When at={k.expires} relative /> : 'never') },
                ...(may('admin') ? [{ label: 'Do', value: () => '', cell: (k: Schemas['ProjectKey']) => <Button kind="danger" onClick={() => ask(k)}>Revoke</Button> }] : []),
              ]}
            />
            {asked === 'new' && (
              <Confirm title="Make a key" busy={busy} cancel={() => ask('')} go={() => void act(async () => {
                const made = await answer(client.POST('/projects/{projectID}/keys', { params: { path }, body: { name, permissions: rights.split(/[\s,]+/).filter(Boolean) } }));
                show(made.text);
                loaded.reload();
              }).then((fine) => { if (fine) ask(''); })}>
                <Text label="Name" value={name} onInput={call} required />
                <Text label="May" value={rights} onInput={grant} hint={`* is everything; else some of ${permissions.join(', ')}`} />
                <Said done="" problem={problem} />
              </Confirm>
            )}
            {typeof asked === 'object' && (
              <Confirm title="Revoke the key" danger busy={busy} cancel={() => ask('')} go={() => void act(async () => {
                await answer(client.DELETE('/projects/{projectID}/keys/{keyID}', { params: { path: { ...path, keyID: asked.keyID } } }));
                loaded.reload();
                return `${asked.name} is revoked.`;
              }).then(() => ask(''))}><p>{asked.name} stops working at once.</p></Confirm>
            )}
          </>
        )}
      </Shown>
    </Card>
  );
}

function Webhooks({ path }: { path: Path }) {
  const loaded = useLoad((signal) => answer(client.GET('/projects/{projectID}/webhooks', { params: { path }, signal })), [path]);
  return (
    <Card title="Webhooks" wide>
      <Shown of={loaded}>
        {({ webhooks }) => (webhooks.length === 0 ? <Empty>It has none. Backends make them with <code>POST /v2/webhookEndpoints</code>.</Empty> : <>{webhooks.map((w) => <Webhook key={w.webhookEndpointID} of={w} path={path} changed={loaded.reload} />)}</>)}
      </Shown>
    </Card>
  );
}

function Webhook({ of, path, changed }: { of: Schemas['ProjectWebhook']; path: Path; changed: () => void }) {
  const { may } = useWho();
  const [page, go] = useState(1);
  const to = { ...path, webhookEndpointID: of.webhookEndpointID };
  const deliveries = useLoad((signal) => answer(client.GET('/projects/{projectID}/webhooks/{webhookEndpointID}/deliveries', { params: { path: to, query: { page, pageSize: 20 } }, signal })), [to, page], 10_000);
  const dead = useLoad((signal) => answer(client.GET('/projects/{projectID}/webhooks/{webhookEndpointID}/deadLetters', { params: { path: to, query: { pageSize: 100 } }, signal })), [to], 10_000);
  const { busy, problem, done, act } = useAct();
  const again = (ids?: string[]) => void act(async () => {
    const { queued } = await answer(client.POST('/projects/{projectID}/webhooks/{webhookEndpointID}/deadLetters/replay', { params: { path: to }, body: ids ? { ids } : {} }));
    dead.reload();
    deliveries.reload();
    return `${number(queued)} are delivered again.`;
  });
  return (
    <section class="list">
      <h3>{of.url} {of.gone ? <Badge tone="bad">gone</Badge> : of.paused ? <Badge tone="warn">paused</Badge> : <Badge tone="good">in use</Badge>}</h3>
      <p class="small muted">{of.subscribedEvents.length ? of.subscribedEvents.join(', ') : 'every event'} · since <When at={of.created} /></p>
      <Said done={done} problem={problem} />
      {of.paused && <p class="small">Paused <When at={of.paused} relative />: what happens waits, and is delivered when it is resumed.</p>}
      {may('approver') && !of.gone && (
        <Button busy={busy} onClick={() => void act(async () => {
          await answer(client.POST('/projects/{projectID}/webhooks/{webhookEndpointID}/pause', { params: { path: to }, body: { paused: !of.paused } }));
          changed();
          return of.paused ? 'What has waited is delivered now.' : 'Nothing more is sent until it is resumed.';
        })}>{of.paused ? 'Resume deliveries' : 'Pause deliveries'}</Button>
      )}
      <Shown of={dead}>
        {(d) => d.deadLetters.length === 0 ? <p class="small muted">Nothing is left undelivered.</p> : (
          <Table
            caption={`Dead letters of ${of.url}`} name="dead-letters" rows={d.deadLetters} identify={(l) => l.id} empty=""
            tools={may('approver') && <Button busy={busy} onClick={() => again()}>Deliver all {number(d.paging.totalItems)} again</Button>}
            columns={[
              { label: 'Dead since', value: (l) => l.createdMs, cell: (l) => <When at={l.createdMs} /> }, { label: 'Event', value: (l) => l.eventType, cell: (l) => <code>{l.eventType}</code> },
              { label: 'User', value: (l) => l.userID, cell: (l) => <a href={`/console/users/${path.projectID}/${l.userID}`}>{l.userID}</a> },
              { label: 'Attempts', numeric: true, value: (l) => l.attempts }, { label: 'Why', value: (l) => l.error ?? String(l.statusCode ?? '') },
              ...(may('approver') ? [{ label: 'Do', value: () => '', cell: (l: Schemas['WebhookDeadLetter']) => <Button busy={busy} onClick={() => again([l.id])}>Again</Button> }] : []),
            ]}
          />
        )}
      </Shown>
      <details>
        <summary>Latest deliveries</summary>
        <Shown of={deliveries}>
          {(d) => (
            <>
              <Table
                caption={`Deliveries to ${of.url}`} name="deliveries" rows={d.deliveries} sorted find={false} empty="Nothing was delivered yet." perPage={1000} identify={(one) => `${one.id} ${one.attempt}`}
                columns={[
                  { label: 'When', value: (one) => one.createdMs, cell: (one) => <When at={one.createdMs} /> }, { label: 'Event', value: (one) => one.eventType, cell: (one) => <code>{one.eventType}</code> },
                  { label: 'Outcome', value: (one) => one.outcome, cell: (one) => <Badge tone={one.outcome === 'delivered' ? 'good' : one.outcome === 'dead' ? 'bad' : 'warn'}>{one.outcome}</Badge> },
                  { label: 'Answer', value: (one) => one.error ?? String(one.statusCode ?? '') }, { label: 'Attempt', numeric: true, value: (one) => one.attempt },
                  { label: 'Took', numeric: true, value: (one) => one.durationMs, cell: (one) => milliseconds(one.durationMs) },
                ]}
              />
              {d.paging.totalPages > 1 && <Pager page={d.paging.page} pages={d.paging.totalPages} items={d.paging.totalItems} go={go} />}
            </>
          )}
        </Shown>
      </details>
    </section>
  );
}

