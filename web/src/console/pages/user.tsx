// One user: what would be offered now and why not, what is counted and when it ends, passkeys, and everything that happened.
import { useEffect, useRef, useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { answer, client, type Schemas } from '../api';
import { asProblem, useAct, useLoad } from '../load';
import { useWho } from '../session';
import { Badge, Button, Card, Choice, Confirm, Empty, Facts, Failed, Said, Shown, Table, Text, Title, When } from '../ui';
import { initial, number } from '../words';
import type { Problem } from '../api';

type Profile = Schemas['UserProfile'];
type Entry = Schemas['TimelineEntry'];
interface Path { projectID: string; userID: string }

export function User() {
  const { params } = useRoute();
  const path: Path = { projectID: params.project ?? '', userID: params.user ?? '' };
  const loaded = useLoad((signal) => answer(client.GET('/projects/{projectID}/users/{userID}', { params: { path }, signal })), [path]);
  return (
    <>
      <p class="crumbs"><a href={`/console/users?projectID=${path.projectID}`}>Users</a></p>
      <Shown of={loaded} rows={10}>{(profile) => <Known of={profile} path={path} again={loaded.reload} />}</Shown>
    </>
  );
}

function Known({ of, path, again }: { of: Profile; path: Path; again: () => void }) {
  const { user } = of;
  const name = user.fullName || user.identifiers[0]?.value || user.userID;
  return (
    <>
      <Title aside={<Acts of={of} path={path} again={again} />}>{name}</Title>
      <div class="grid">
        <Card title="Who">
          <Facts of={[
            ['Status', <Badge tone={user.status === 'active' ? 'good' : user.status === 'disabled' ? 'bad' : 'plain'}>{user.status}</Badge>],
            ['User', <code>{user.userID}</code>], ['Project', path.projectID], ['Since', <When at={user.created} />],
            ['Identifiers', user.identifiers.length > 0 && <>{user.identifiers.map((i) => <span key={i.value} class="block">{i.value} <span class="muted">{i.status}</span></span>)}</>],
            ['Labels', of.labels.length > 0 && <>{of.labels.map((l) => <Badge key={l}>{l}</Badge>)}</>],
            ['Wrong codes', of.wrongCodes > 0 && number(of.wrongCodes)],
          ]} />
          {of.lacks && <p class="note">{of.lacks}</p>}
        </Card>
        <Card title="What would be offered now" hint="In each environment in which the user was seen, by the history and the policy as they are.">
          {of.environments.length === 0 ? <Empty>The user was seen nowhere yet.</Empty> : <ul class="environments">{of.environments.map((e) => <Environment key={e.environmentID} of={e} />)}</ul>}
        </Card>
        <Card title="Counts and pauses" wide hint="What the history comes to, and when what it stops is offered again.">
          <Counts of={of} path={path} again={again} />
        </Card>
        <Card title="Passkeys" wide><Passkeys of={of} path={path} again={again} /></Card>
        <Timeline path={path} />
      </div>
    </>
  );
}

// -- what would be offered --

function Environment({ of }: { of: Schemas['UserEnvironment'] }) {
  return (
    <li>
      <strong>{[of.os, of.osVersion].filter(Boolean).join(' ')} · {[of.browser, of.browserVersion].filter(Boolean).join(' ')}</strong> <span class="small muted">seen <When at={of.lastSeen ?? of.created} relative /></span>
      {of.login && <Prospect what="Login" of={of.login} />}
      {of.append && <Prospect what="Creation" of={of.append} />}
    </li>
  );
}

function Prospect({ what, of }: { what: string; of: Schemas['UserProspect'] }) {
  return (
    <span class="prospect">
      <Badge tone={of.offered ? 'good' : 'plain'}>{what}: {of.offered ? 'offered' : 'not offered'}</Badge> <span class="small muted">{of.reason ? `${of.reason} · ` : ''}row {of.row}{of.until && <>, until <When at={of.until} /></>}</span>
    </span>
  );
}

function Counts({ of, path, again }: { of: Profile; path: Path; again: () => void }) {
  const { may } = useWho();
  const { busy, problem, done, act } = useAct();
  const all = [...of.counts.map((c) => ({ ...c, where: 'everywhere' })), ...of.environments.flatMap((e) => e.counts.map((c) => ({ ...c, where: [e.os, e.browser].filter(Boolean).join(' · ') || e.environmentID })))];
  return (
    <>
      <Said done={done} problem={problem} />
      {of.bars.length > 0 && (
        <ul class="bars">{of.bars.map((b) => (
          <li key={b.eventID}>
            <Badge tone="bad">Barred</Badge> from {b.of === 'login' ? 'logins' : b.of === 'append-after-error' ? 'creations after a failed login' : 'creations after a login with a phone'} since <When at={b.created} />, {b.until ? <>until <When at={b.until} /></> : 'until it is lifted'}
            {may('approver') && <Button busy={busy} onClick={() => void act(async () => {
              await answer(client.DELETE('/projects/{projectID}/users/{userID}/bars/{eventID}', { params: { path: { ...path, eventID: b.eventID } } }));
              again();
              return 'The bar is lifted.';
            })}>Lift</Button>}
          </li>
        ))}</ul>
      )}
      <Table
        caption="Counts" name="counts" rows={all} find={false} empty="Nothing that happened counts against an offer." identify={(c) => c.of + c.where}
        columns={[
          { label: 'What', value: (c) => c.text, cell: (c) => <>{initial(c.text)}{c.decides && <> <Badge tone="warn">decides</Badge></>}</> },
          { label: 'Where', value: (c) => c.where },
          { label: 'Count', numeric: true, value: (c) => c.number, cell: (c) => `${c.number}${c.threshold ? ` of ${c.threshold}` : ''}` },
          { label: 'Until', value: (c) => c.until, cell: (c) => <When at={c.until} /> },
        ]}
      />
    </>
  );
}

// -- passkeys --

function Held({ here, children }: { here: boolean; children: preact.ComponentChildren }) {
  return <li ref={useHere(here)} class={here ? 'here' : undefined} aria-current={here ? 'true' : undefined}>{children}</li>;
}

function Passkeys({ of, path, again }: { of: Profile; path: Path; again: () => void }) {
  const { may } = useWho();
  const { query } = useLocation();
  const [asked, ask] = useState<Schemas['UserPasskey'] | undefined>();
  const { busy, problem, done, act } = useAct();
  const seen = new Map(of.environments.map((e) => [e.environmentID, [e.os, e.browser].filter(Boolean).join(' · ')]));
  return (
    <>
      <Said done={done} problem={problem} />
      {of.passkeys.length === 0 && <Empty>The user has none{of.passkeysDeleted > 0 ? `; ${number(of.passkeysDeleted)} were deleted` : ''}.</Empty>}
      <ul class="passkeys">
        {of.passkeys.map((p) => (
          <Held key={p.credentialID} here={p.credentialID === query.passkey}>
            <div class="row"><strong>{p.name || p.provider || initial(p.held)}</strong> <Badge>{p.class || 'class not known'}</Badge> {p.backedUp && <Badge tone="good">backed up</Badge>} {p.attestation === 'verified' && <Badge tone="good">attested</Badge>}</div>
            <span class="hint">{initial(p.held)}, made <When at={p.created} /> on {[p.os, p.browser].filter(Boolean).join(', ') || 'an unknown device'}; {p.lastUsed ? <>last used <When at={p.lastUsed} relative /></> : 'never used'}</span>
            {p.where.map((w) => <span key={w.environmentID} class="hint">{seen.get(w.environmentID) ?? w.environmentID}: <strong>{w.availability}</strong>, {w.why}</span>)}
            <code class="small">{p.webauthnID}</code>
            {may('approver') && <div class="row"><Button kind="danger" onClick={() => ask(p)}>Delete</Button></div>}
          </Held>
        ))}
      </ul>
      {asked && (
        <Confirm title="Delete the passkey" danger busy={busy} cancel={() => ask(undefined)} go={() => void act(async () => {
          await answer(client.DELETE('/projects/{projectID}/users/{userID}/passkeys/{credentialID}', { params: { path: { ...path, credentialID: asked.credentialID } } }));
          again();
          return 'The passkey is deleted.';
        }).then(() => ask(undefined))}>
          <p>{asked.provider || initial(asked.held)} stops working at once. It cannot be had back.</p>
        </Confirm>
      )}
    </>
  );
}

// -- acts --

type Act = '' | 'bar' | 'status' | 'labels' | 'sessions' | 'erase';

function Acts({ of, path, again }: { of: Profile; path: Path; again: () => void }) {
  const { may } = useWho();
  const { route } = useLocation();
  const [asked, ask] = useState<Act>('');
  const [reason, say] = useState('');
  const [what, choose] = useState<Schemas['UserBarKind']>('login');
  const [seconds, last] = useState('86400');
  const [labels, label] = useState(of.labels.join(' '));
  const { busy, problem, done, act } = useAct();
  const { user } = of;
  const why = reason ? { reason } : {};
  const disabled = user.status === 'disabled';
  const go = (call: () => Promise<string>) => void act(async () => { const said = await call(); again(); return said; }).then((fine) => { if (fine) ask(''); });
  if (!may('approver')) return null;
  const failed = problem ? <Failed problem={problem} /> : null;
  return (
    <div class="acts">
      <Choice label="Do" value="" onChange={(to) => ask(to as Act)} options={[
        ['', 'choose …'], ['bar', 'Bar from offers'], ['labels', 'Label'], ['sessions', 'Revoke all sessions'], ['status', disabled ? 'Let log in again' : 'Disable'], ...(may('admin') ? [['erase', 'Erase'] as [string, string]] : []),
      ]} />
      {!asked && <Said done={done} problem={problem} />}
      {asked === 'bar' && (
        <Confirm title="Bar from offers" busy={busy} cancel={() => ask('')} go={() => go(async () => {
          await answer(client.POST('/projects/{projectID}/users/{userID}/bars', { params: { path }, body: { of: what, ...(seconds && { seconds: Number(seconds) }), ...why } }));
          return 'The user is barred.';
        })}>
          <Choice label="From" value={what} onChange={(to) => choose(to as Schemas['UserBarKind'])} options={[['login', 'logins by passkey'], ['append-after-error', 'creations after a failed login'], ['append-after-hybrid', 'creations after a login with a phone']]} />
          <Choice label="How long" value={seconds} onChange={last} options={[['3600', 'an hour'], ['86400', 'a day'], ['604800', 'a week'], ['', 'until it is lifted']]} />
          <Text label="Why" value={reason} onInput={say} />{failed}
        </Confirm>
      )}
      {asked === 'labels' && (
        <Confirm title="Label" busy={busy} cancel={() => ask('')} go={() => go(async () => {
          await answer(client.PUT('/projects/{projectID}/users/{userID}/labels', { params: { path }, body: { labels: labels.split(/[\s,]+/).filter(Boolean), ...why } }));
          return 'The labels are set.';
        })}>
          <Text label="Labels" value={labels} onInput={label} hint={of.labelsDeclared?.length ? `The policy knows ${of.labelsDeclared.join(', ')}.` : 'The policy declares no labels.'} />
          <Text label="Why" value={reason} onInput={say} />{failed}
        </Confirm>
      )}
      {asked === 'sessions' && (
        <Confirm title="Revoke all sessions" danger busy={busy} cancel={() => ask('')} go={() => go(async () => {
          const { count } = await answer(client.POST('/projects/{projectID}/users/{userID}/sessions/revoke', { params: { path }, body: why }));
          return `${number(count ?? 0)} sessions were revoked.`;
        })}><p>The user has to sign in again on every device.</p><Text label="Why" value={reason} onInput={say} />{failed}</Confirm>
      )}
      {asked === 'status' && (
        <Confirm title={disabled ? 'Let log in again' : 'Disable'} danger={!disabled} busy={busy} cancel={() => ask('')} go={() => go(async () => {
          await answer(client.PUT('/projects/{projectID}/users/{userID}/status', { params: { path }, body: { status: disabled ? 'active' : 'disabled', ...why } }));
          return disabled ? 'The user can log in again.' : 'The user cannot log in. Sessions that there are go on until they are revoked.';
        })}><p>{disabled ? 'Logins are answered again.' : 'No login and no new session. Sessions that there are go on until they are revoked.'}</p><Text label="Why" value={reason} onInput={say} />{failed}</Confirm>
      )}
      {asked === 'erase' && (
        <Confirm title="Erase the user" danger word={user.userID} busy={busy} cancel={() => ask('')} go={(typed) => void act(async () => {
          await answer(client.POST('/projects/{projectID}/users/{userID}/erase', { params: { path }, body: { userID: typed, ...why } }));
          route(`/console/users?projectID=${path.projectID}`);
        })}><p>Everything that is kept of the user goes: passkeys, sessions, history. Nothing brings it back.</p>{failed}</Confirm>
      )}
    </div>
  );
}

// -- what happened --

const kinds: [string, string][] = [['', 'everything'], ['decision', 'decisions'], ['event', 'events'], ['alert', 'alerts'], ['session', 'sessions']];

function Timeline({ path }: { path: Path }) {
  const { query, route } = useLocation();
  const event = query.event ?? '';
  const from = event && /^\d{1,15}$/.test(query.at ?? '') ? String(Number(query.at) + 1) : undefined; // of a link to one event: what is newer is left out
  const [kind, pick] = useState('');
  const [more, add] = useState<{ of: string; entries: Entry[]; next: string | undefined }>({ of: '', entries: [], next: undefined });
  const [problem, fail] = useState<Problem | undefined>();
  const get = (before?: string, signal?: AbortSignal) => answer(client.GET('/projects/{projectID}/users/{userID}/timeline', {
    params: { path, query: { ...(kind && { kind }), ...(before && { before }), limit: 50 } }, ...(signal && { signal }),
  }));
  const loaded = useLoad((signal) => get(from, signal), [path, kind, from], 15_000);
  const of = kind + (from ?? '');
  const grown = more.of === of ? more : { of, entries: [], next: undefined };
  const on = grown.entries.length > 0 ? grown.next : loaded.data?.next;
  return (
    <Card title="What happened" wide aside={<Choice label="Show" value={kind} onChange={pick} options={kinds} />}>
      <Shown of={loaded} rows={8}>
        {(t) => (
          <>
            {t.lacks.map((l) => <p key={l.kind} class="note">{initial(l.kind)}s are not shown: {l.why}</p>)}
            {from && <p class="note">What came after it is left out. <button type="button" class="link" onClick={() => route(`/console/users/${path.projectID}/${path.userID}`)}>Show all from the newest</button></p>}
            {t.entries.length === 0 && <Empty>Nothing is known of this user yet.</Empty>}
            <ol class="timeline">{[...t.entries, ...grown.entries].map((e) => <Moment key={e.kind + e.id} of={e} here={e.id === event} />)}</ol>
            {problem && <Failed problem={problem} />}
            {on && <div class="row"><Button onClick={() => void get(on).then((next) => { add({ of, entries: [...grown.entries, ...next.entries], next: next.next }); fail(undefined); }).catch((failed: unknown) => fail(asProblem(failed)))}>Show older</Button></div>}
          </>
        )}
      </Shown>
    </Card>
  );
}

/** Brings what a link leads to into view, once. */
function useHere(here: boolean) {
  const at = useRef<HTMLLIElement>(null);
  useEffect(() => { if (here) at.current?.scrollIntoView({ block: 'center' }); }, [here]);
  return at;
}

function Moment({ of: e, here }: { of: Entry; here: boolean }) {
  const at = useHere(here);
  const tone = e.kind === 'alert' ? 'bad' : e.kind === 'decision' ? (e.allow ? 'good' : 'plain') : 'plain';
  return (
    <li ref={at} class={here ? 'here' : undefined} aria-current={here ? 'true' : undefined}>
      <When at={e.at} />
      <div>
        <Badge tone={tone}>{e.kind}</Badge> {e.kind === 'decision' ? <a href={`/console/decisions/${e.id}`}>{e.text}</a> : e.text} <code class="muted">{e.type}</code>
        <span class="hint">{[e.row && `row ${e.row}`, e.tag, e.reason, e.verdict && `risk: ${e.verdict}`, [e.os, e.browser].filter(Boolean).join(' · '), e.proven === false && 'the word of a client without a proof'].filter(Boolean).join(' · ')}
          {e.kind !== 'decision' && e.decisionID && <> · <a href={`/console/decisions/${e.decisionID}`}>the decision behind it</a></>}</span>
      </div>
    </li>
  );
}
