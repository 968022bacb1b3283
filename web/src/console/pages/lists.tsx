// What rules know by name, and what is not offered for now, without a release.
import { useState } from 'preact/hooks';
import { answer, client, type Schemas } from '../api';
import { useAct, useLoad } from '../load';
import { useWho } from '../session';
import { Badge, Button, Card, Choice, Confirm, Empty, Said, Shown, Table, Text, Title, When } from '../ui';

type List = Schemas['OperatorList'];
type Switch = Schemas['Switch'];

const spans: [string, string][] = [['', 'until it is taken back'], ['3600', 'for an hour'], ['86400', 'for a day'], ['604800', 'for a week'], ['2592000', 'for 30 days']];
const everywhere = (said: { everywhere?: boolean }, what: string) => (said.everywhere === false ? `${what}. Not every instance has it yet: it takes it up as soon as it can.` : `${what}, on every instance.`);

export function Lists() {
  const lists = useLoad((signal) => answer(client.GET('/lists', { signal })), [], 10_000);
  const switches = useLoad((signal) => answer(client.GET('/switches', { signal })), [], 5000);
  return (
    <>
      <Title>Lists and switches</Title>
      <div class="grid">
        <Card title="Switches" wide hint="While one is on, no passkey is offered where it is about, whatever the rules say.">
          <Shown of={switches}>{(all) => <Switches all={all.switches} again={switches.reload} />}</Shown>
        </Card>
        <Card title="Lists" wide hint="Rules read them by their name. What is added counts from the next call on.">
          <Shown of={lists}>{(all) => <ListCards all={all.lists} again={lists.reload} />}</Shown>
        </Card>
      </div>
    </>
  );
}

function about(s: Switch): string {
  const { projectID, action, os, browser } = s.about;
  const said = [action && `${action}s`, os && `on ${os}`, browser && `in ${browser}`, projectID && `of ${projectID}`].filter(Boolean);
  return said.length ? said.join(' ') : 'everything';
}

function Switches({ all, again }: { all: Switch[]; again: () => void }) {
  const { may } = useWho();
  const [asked, ask] = useState<Switch | 'new' | undefined>();
  const [name, call] = useState('');
  const [on, set] = useState({ action: '', os: '', browser: '', projectID: '' });
  const [reason, say] = useState('');
  const [seconds, last] = useState('');
  const { busy, problem, done, act } = useAct();
  const turn = (which: string, body: Schemas['SwitchReq']) => act(async () => {
    const said = await answer(client.POST('/switches/{switch}', { params: { path: { switch: which } }, body: { ...body, ...(reason && { reason }) } }));
    again();
    return everywhere(said, `${which} is ${said.on ? 'on' : 'off'}`);
  }).then((fine) => { if (fine) ask(undefined); });
  const field = (key: keyof typeof on) => (value: string) => set({ ...on, [key]: value });
  return (
    <>
      <Said done={done} problem={problem} />
      <Table
        caption="Switches" name="switches" rows={all} identify={(s) => s.name} empty="None was ever turned on." find={false}
        tools={may('approver') && <Button onClick={() => ask('new')}>Stop something</Button>}
        columns={[
          { label: 'Switch', value: (s) => s.name, cell: (s) => <code>{s.name}</code> },
          { label: 'Is', value: (s) => (s.on ? 'on' : 'off'), cell: (s) => (s.on ? <Badge tone="bad">on</Badge> : <Badge>off</Badge>) },
          { label: 'Stops', value: about },
          { label: 'Until', value: (s) => s.until, cell: (s) => (s.on ? <When at={s.until} relative /> : '–') },
          { label: 'By', value: (s) => s.by.name, cell: (s) => <>{s.by.name}, <When at={s.at} relative /></> },
          { label: 'Why', value: (s) => s.reason },
          ...(may('approver') ? [{ label: 'Do', value: () => '', cell: (s: Switch) => <Button onClick={() => ask(s)}>{s.on ? 'Turn off' : 'Turn on'}</Button> }] : []),
        ]}
      />
      {asked === 'new' && (
        <Confirm title="Stop offering" danger busy={busy} cancel={() => ask(undefined)} go={() => void turn(name, {
          on: true, about: Object.fromEntries(Object.entries(on).filter(([, v]) => v)), ...(seconds && { seconds: Number(seconds) }),
        })}>
          <Text label="Name of the switch" value={name} onInput={call} required placeholder="windows-logins" />
          <Choice label="What" value={on.action} onChange={field('action')} options={[['', 'everything'], ['login', 'logins'], ['append', 'creations'], ['mediation', 'suggestions']]} />
          <Choice label="On" value={on.os} onChange={field('os')} options={[['', 'every system'], ...['windows', 'macos', 'ios', 'android', 'chromeos', 'linux', 'visionos', 'harmonyos', 'other'].map((o): [string, string] => [o, o])]} />
          <Text label="In the browser" value={on.browser} onInput={field('browser')} placeholder="any" />
          <Text label="Of the project" value={on.projectID} onInput={field('projectID')} placeholder="every" />
          <Choice label="How long" value={seconds} onChange={last} options={spans} />
          <Text label="Why" value={reason} onInput={say} />
          <Said done="" problem={problem} />
        </Confirm>
      )}
      {asked && asked !== 'new' && (
        <Confirm title={asked.on ? `Turn ${asked.name} off` : `Turn ${asked.name} on`} danger={!asked.on} busy={busy} cancel={() => ask(undefined)} go={() => void turn(asked.name, asked.on ? { on: false } : { on: true, about: asked.about })}>
          <p>{asked.on ? 'The rules answer again' : 'No passkey is offered'} where it is about: {about(asked)}.</p>
          <Text label="Why" value={reason} onInput={say} />
        </Confirm>
      )}
    </>
  );
}

function ListCards({ all, again }: { all: List[]; again: () => void }) {
  const { may } = useWho();
  return (
    <>
      {may('approver') && <Add all={all} again={again} />}
      {all.length === 0 && <Empty>Nothing was ever added to a list.</Empty>}
      {all.map((l) => <Entries key={l.name} of={l} again={again} />)}
    </>
  );
}

function Add({ all, again }: { all: List[]; again: () => void }) {
  const [name, call] = useState('');
  const [kind, pick] = useState('address');
  const [text, type] = useState('');
  const [seconds, last] = useState('');
  const [reason, say] = useState('');
  const { busy, problem, done, act } = useAct();
  return (
    <form class="search" onSubmit={(event) => {
      event.preventDefault();
      void act(async () => {
        const said = await answer(client.POST('/lists/{list}', { params: { path: { list: name } }, body: { kind: kind as 'address', add: text.split(/[\s,]+/).filter(Boolean), ...(seconds && { seconds: Number(seconds) }), ...(reason && { reason }) } }));
        again();
        type('');
        return [everywhere(said, `Added to ${said.name}`), said.warning].filter(Boolean).join(' ');
      });
    }}>
      <Text label="List" value={name} onInput={call} required list={all.map((l) => l.name)} placeholder="badAddresses" />
      <Choice label="Of" value={kind} onChange={pick} options={[['address', 'addresses'], ['asn', 'autonomous systems'], ['country', 'countries'], ['environment', 'environments'], ['identifier', 'identifiers of users'], ['label', 'labels of users']]} />
      <Text label="Add" value={text} onInput={type} required placeholder="203.0.113.0/24" />
      <Choice label="How long" value={seconds} onChange={last} options={spans} />
      <Text label="Why" value={reason} onInput={say} />
      <div class="row"><Button submit kind="main" busy={busy}>Add</Button></div>
      <Said done={done} problem={problem} />
    </form>
  );
}

function Entries({ of, again }: { of: List; again: () => void }) {
  const { may } = useWho();
  const { busy, problem, done, act } = useAct();
  const whole = useLoad((signal) => answer(client.GET('/lists/{list}', { params: { path: { list: of.name } }, signal })), [of]);
  return (
    <section class="list">
      <h3><code>{of.name}</code> <span class="muted">{of.kind}</span></h3>
      <Said done={done} problem={problem} />
      <Table
        caption={`Entries of ${of.name}`} name={of.name} rows={of.entries} identify={(e) => e.entry} empty="It is empty now."
        columns={[
          { label: 'Entry', value: (e) => e.entry, cell: (e) => <code>{e.entry}</code> },
          { label: 'Until', value: (e) => e.until, cell: (e) => (e.until ? <When at={e.until} relative /> : 'taken back') },
          { label: 'By', value: (e) => e.by.name, cell: (e) => <>{e.by.name}, <When at={e.at} relative /></> },
          { label: 'Why', value: (e) => e.reason },
          ...(may('approver') ? [{
            label: 'Do', value: () => '', cell: (e: Schemas['OperatorListEntry']) => <Button busy={busy} onClick={() => void act(async () => {
              const said = await answer(client.POST('/lists/{list}', { params: { path: { list: of.name } }, body: { remove: [e.entry] } }));
              again();
              return everywhere(said, `${e.entry} is taken back`);
            })}>Take back</Button>,
          }] : []),
        ]}
      />
      <details>
        <summary>What was done</summary>
        <Shown of={whole}>{(l) => <ul class="story">{(l.history ?? []).map((h, n) => <li key={n}><When at={h.at} />: {h.by.name} {h.what} <code>{h.entry}</code> {h.reason}</li>)}</ul>}</Shown>
      </details>
    </section>
  );
}
