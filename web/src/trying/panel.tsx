// The panel beside the screens: what was decided and why, and what is known of the user.
import { Causes } from './causes';
import { Timed, When } from './parts';
import type { TrialDecision, TrialPasskey, TrialRow } from './types';
import type { Watch, Watched } from './watch';
import { initial } from './words';

const questions: Record<TrialDecision['action'], string> = {
  login: 'Offer a passkey login?', append: 'Offer to create a passkey?', mediation: 'Suggest passkeys in the field?', rollout: 'Take part at all?',
};
const short: Record<TrialDecision['action'], string> = { login: 'Login', append: 'Create', mediation: 'Suggest', rollout: 'Rollout' };

export function Panel({ watch }: { watch: Watch }) {
  const current = watch.current;
  return (
    <section class="panel" aria-labelledby="decided">
      <header>
        <h2 id="decided">What Keyward decided</h2>
        {watch.decisions.length > 1 && <History watch={watch} current={current} />}
      </header>
      <p class="heard" role="status">{current?.explained && `${questions[current.explained.action]} ${current.explained.allow ? 'Yes' : 'No'}. ${current.explained.title}`}</p>
      <div class="answer"><Decision watched={current} /></div>
      <Events watch={watch} />
    </section>
  );
}

function History({ watch, current }: { watch: Watch; current: Watched | undefined }) {
  return (
    <ul class="history" aria-label="Decisions of this visit, the newest first">
      {watch.decisions.map((d) => (
        <li key={d.id}>
          <button type="button" aria-pressed={d === current} class={mark(d)} onClick={() => watch.show(d.id)}>
            {d.explained ? `${short[d.explained.action] ?? d.explained.action}: ${d.explained.allow ? 'yes' : 'no'}` : '…'}
          </button>
        </li>
      ))}
    </ul>
  );
}

function mark(d: Watched): string {
  return !d.explained ? '' : d.explained.allow ? 'yes' : 'no';
}

function Decision({ watched }: { watched: Watched | undefined }) {
  if (!watched) return <p class="empty">Nothing yet. Each time this page asks whether to use a passkey, the answer and its reason appear here.</p>;
  const d = watched.explained;
  if (!d) return <p class="empty">{watched.missing ? <>The record of <code>{watched.id}</code> could not be had.</> : 'Decided; the record is being written …'}</p>;
  const passed = d.rows.filter((r) => r.outcome === 'passed');
  const causes = d.causes ?? [];
  const until = causes.filter((c) => c.items.length === 0);
  return (
    <article key={d.decisionID} class="decision">
      <p class="question">{questions[d.action] ?? d.action}</p>
      <p class={'verdict ' + (d.allow ? 'yes' : 'no')}><strong>{d.allow ? 'Yes' : 'No'}</strong><span>{d.title || d.tag}</span></p>
      <Story told={d.story ?? (d.title ? [] : [d.reason])} />
      {until.map((c) => <p class="until" key={c.heading}><Timed text={c.heading} /></p>)}
      <Passkeys all={d.passkeys ?? []} />
      <Causes all={causes.filter((c) => c.items.length > 0)} />
      <Counts data={d.historyData} open={d.action === 'append'} />

      <section aria-labelledby="settled">
        <h3 id="settled">How it was settled</h3>
        <ul class="tags" aria-label="Row and tag"><li><code>{d.row}</code></li><li><code>{d.tag}</code></li></ul>
      </section>
      {d.client && (
        <details open={d.lists !== undefined}>
          <summary>What the client was taken for</summary>
          <ul class="client">
            <li>{d.client.system}</li>
            <li>{d.client.browser}</li>
            {(d.lists ?? []).map((entry) => <li key={entry}>{entry}</li>)}
          </ul>
        </details>
      )}
      {passed.length > 0 && (
        <details>
          <summary>What was asked before {d.row}, and was not so <span class="count">{passed.length}</span></summary>
          <ol class="ladder">{passed.map((row, n) => <Row key={n} row={row} />)}</ol>
        </details>
      )}
      {d.facts.length > 0 && (
        <details>
          <summary>Facts it read <span class="count">{d.facts.length}</span></summary>
          <dl class="facts">
            {d.facts.map((f) => (
              <div key={f.path}>
                <dt><code>{f.path}</code><span class="hint">{f.title}</span></dt>
                <dd><code>{f.value}</code></dd>
              </div>
            ))}
          </dl>
        </details>
      )}
      <p class="small"><When ms={d.createdMs} /> · policy <code>{d.policyRevision}</code> · <code class="long">{d.decisionID}</code></p>
    </article>
  );
}

/** Why, in a few sentences. */
function Story({ told }: { told: string[] }) {
  if (told.length === 0) return null;
  return <ul class="story" aria-label="Because">{told.map((said) => <li key={said}>{said}.</li>)}</ul>;
}

/** A row that did not match: what it is about, and what was not so. */
function Row({ row }: { row: TrialRow }) {
  return (
    <li>
      <code>{row.row}</code>
      <div>
        <span>{row.title || row.tag}</span>
        <span class="hint">No: {row.story ? row.story.map((said) => said + '.').join(' ') : row.why}</span>
      </div>
    </li>
  );
}

/** What holds each passkey of the account, where it is expected, and why it can be used from here or not. */
function Passkeys({ all }: { all: TrialPasskey[] }) {
  if (all.length === 0) return null;
  return (
    <section aria-labelledby="reach">
      <h3 id="reach">Passkeys of the account <span class="count">{all.length}</span></h3>
      <ul class="reach">
        {all.map((p) => (
          <li key={p.credentialID}>
            <strong>{p.provider ?? initial(p.kind)}</strong> <span class="tag">{p.where}</span>
            <span class="hint">{p.provider && initial(p.kind) + ': '}{p.provider ? p.why : initial(p.why)}</span>
            {(p.history ?? []).map((said) => <span class="failed" key={said}><Timed text={initial(said)} /></span>)}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** The counts and cool-downs that the decision knew, in pairs: how often the user declined, and whether offers pause for it. */
function Counts({ data, open }: { data: Record<string, unknown>; open: boolean }) {
  const kinds = [['default', 'Manual offers'], ['afterError', 'Offers after a failed login'], ['afterHybrid', 'Offers after another device'], ['auto', 'Automatic offers'], ['conditionalCreate', 'Silent creation']] as const;
  const rows = kinds.filter(([key]) => data[key + 'Cooldown'] !== undefined);
  if (rows.length === 0) return null;
  return (
    <details open={open}>
      <summary>Counts and cool-downs</summary>
      <table>
        <thead><tr><th scope="col">Kind</th><th scope="col">Declined</th><th scope="col">Pausing</th></tr></thead>
        <tbody>
          {rows.map(([key, title]) => (
            <tr key={key}><th scope="row">{title}</th><td>{String(data[key + 'Count'] ?? '–')}</td><td>{data[key + 'Cooldown'] ? 'yes' : 'no'}</td></tr>
          ))}
        </tbody>
      </table>
    </details>
  );
}

function Events({ watch }: { watch: Watch }) {
  return (
    <section class="events" aria-labelledby="events">
      <h2 id="events">What it knows of you{watch.following && <span class="live" title="Asked every second">live</span>}</h2>
      {!watch.following && <p class="empty">Sign in, and your events appear here as they happen.</p>}
      {watch.following && watch.events.length === 0 && <p class="empty">No events yet.</p>}
      <ol>
        {watch.events.map((e) => (
          <li key={e.passkeyEventID} class={e.fresh ? 'fresh' : ''}>
            <span class="kind">{e.eventType}</span>
            <When ms={e.createdMs} />
            <span class="hint">{[e.credentialID, e.clientEnvID].filter(Boolean).join(' · ')}</span>
          </li>
        ))}
      </ol>
    </section>
  );
}
