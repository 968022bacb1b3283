// Passkeys with which operators sign in.
import { useState } from 'preact/hooks';
import { supported } from '../../trying/webauthn';
import { addPasskey, answer, client, type Schemas } from '../api';
import { useAct, useLoad } from '../load';
import { Badge, Button, Card, Confirm, Said, Shown, Table, Text, When } from '../ui';

type Passkey = Schemas['OperatorPasskey'];

/** The passkeys of whoever is signed in, or of another operator, whom an admin looks after. */
export function Passkeys({ of, name, close }: { of?: string; name?: string; close?: () => void }) {
  const loaded = useLoad((signal) => answer(of ? client.GET('/operators/{operatorID}/passkeys', { params: { path: { operatorID: of } }, signal }) : client.GET('/operators/me/passkeys', { signal })), [of ?? '']);
  const ways = useLoad((signal) => answer(client.GET('/session/ways', { signal })), []);
  const [asked, ask] = useState<'' | 'new' | Passkey>('');
  const [called, call] = useState('');
  const { busy, problem, done, act } = useAct();
  const title = of ? `Passkeys of ${name}` : 'Your passkeys';
  const may = !of && supported && ways.data?.passkey;
  return (
    <Card title={title} wide hint={of ? undefined : 'A passkey signs you in to this console instead of the token, with your finger, your face or a PIN.'} aside={close && <Button onClick={close}>Close</Button>}>
      <Said done={done} problem={problem} />
      <Shown of={loaded}>
        {({ passkeys }) => (
          <Table
            caption={title} name="passkeys" rows={passkeys} identify={(p) => p.credentialID} find={false}
            empty={of || may || !ways.data ? 'There is none.' : 'This browser makes none here: a console takes passkeys at a name, and by https or at localhost.'}
            tools={may ? <Button onClick={() => { call(''); ask('new'); }}>Add a passkey</Button> : undefined}
            columns={[
              { label: 'Name', value: (p) => p.name, cell: (p) => <>{p.name} {p.copied && <Badge tone="bad">copied: refused</Badge>}</> },
              { label: 'Added', value: (p) => p.created, cell: (p) => <When at={p.created} /> },
              { label: 'Last used', value: (p) => p.lastUsed, cell: (p) => (p.lastUsed ? <When at={p.lastUsed} relative /> : 'never') },
              { label: 'Kept', value: (p) => (p.synced ? 'synced' : 'on one device') },
              { label: 'Do', value: () => '', cell: (p) => <Button kind="danger" onClick={() => ask(p)}>Remove</Button> },
            ]}
          />
        )}
      </Shown>
      {asked === 'new' && (
        <Confirm title="Add a passkey" busy={busy} cancel={() => ask('')} go={() => void act(async () => {
          const made = await addPasskey(called.trim());
          loaded.reload();
          return `${made.name} signs you in from now on.`;
        }).then((fine) => { if (fine) ask(''); })}>
          <Text label="Name" value={called} onInput={call} required placeholder="laptop" hint="By which you know it again." />
          <Said done="" problem={problem} />
        </Confirm>
      )}
      {typeof asked === 'object' && (
        <Confirm title={`Remove ${asked.name}`} danger busy={busy} cancel={() => ask('')} go={() => void act(async () => {
          await answer(of
            ? client.DELETE('/operators/{operatorID}/passkeys/{credentialID}', { params: { path: { operatorID: of, credentialID: asked.credentialID } } })
            : client.DELETE('/operators/me/passkeys/{credentialID}', { params: { path: { credentialID: asked.credentialID } } }));
          loaded.reload();
          return `${asked.name} signs nobody in any more.`;
        }).then(() => ask(''))}><p>It signs nobody in any more, and sessions that it began are over at once.</p></Confirm>
      )}
    </Card>
  );
}
