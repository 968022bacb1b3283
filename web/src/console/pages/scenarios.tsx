// Scenarios that a draft of the policy is tried with: those that come with the program, and those that decisions were written down as.
import { useState } from 'preact/hooks';
import { answer, client, type Schemas } from '../api';
import { pack, type Files } from '../bundle';
import { useAct } from '../load';
import { Badge, Button, Card, download, Empty, Said, Table, Text } from '../ui';
import { number } from '../words';

type Results = Schemas['PolicyScenarioResults'];

const key = 'keyward.scenarios';

/** Scenarios that this browser keeps, by file; they are no part of a bundle. */
export function keptScenarios(): Files {
  try {
    return JSON.parse(localStorage.getItem(key) ?? '{}') as Files;
  } catch {
    return {};
  }
}

/** Whether the browser had room for them. */
export function keepScenarios(files: Files): boolean {
  try {
    if (Object.keys(files).length) localStorage.setItem(key, JSON.stringify(files));
    else localStorage.removeItem(key);
    return true;
  } catch {
    return false;
  }
}

export function Scenarios({ from, files }: { from: number; files: Files }) {
  const [mine, set] = useState<Files>(keptScenarios);
  const [shipped, take] = useState(true);
  const [found, show] = useState<{ results: Results; of: Files; refused: number } | undefined>();
  const { busy, problem, done, act } = useAct();
  const change = (to: Files) => { set(to); keepScenarios(to); };
  const run = () => act(async () => {
    show(undefined);
    const told = await answer(client.POST('/policy/check', {
      body: { bundle: await pack(files), parent: from, scenarios: { shipped, files: Object.entries(mine).map(([file, text]) => ({ file, text })) } },
    }));
    if (told.refused.length > 0) return 'The draft is refused as it is: what is wrong stands above.';
    show({ results: told.scenarios!, of: files, refused: told.refused.length });
    return undefined;
  });
  return (
    <Card title="Scenarios" hint="What users did and what is to be answered, tried with this draft. One that fails refuses nothing: it may be what the change is about.">
      {Object.entries(mine).map(([file, text]) => (
        <details key={file} class="scenario">
          <summary><code>{file}</code></summary>
          <Text label="Scenario" value={text} onInput={(to) => change({ ...mine, [file]: to })} area />
          <div class="row">
            <Button onClick={() => download(file.split('/').at(-1)!, text, 'application/yaml')}>Take it away</Button>
            <Button onClick={() => { const { [file]: _, ...rest } = mine; change(rest); }}>Leave it out</Button>
          </div>
        </details>
      ))}
      {Object.keys(mine).length === 0 && <Empty>A decision’s page writes the decision down as a scenario, which is then kept here by this browser.</Empty>}
      <div class="row">
        <label class="check-box"><input type="checkbox" checked={shipped} onChange={(e) => take(e.currentTarget.checked)} /> those that come with the program</label>
        <Button kind="main" busy={busy} onClick={() => void run()}>Run the scenarios</Button>
      </div>
      <Said done={done} problem={problem} />
      {found && <Ran of={found.results} older={found.of !== files} />}
    </Card>
  );
}

function Ran({ of, older }: { of: Results; older: boolean }) {
  const failed = of.total - of.passed;
  return (
    <div aria-live="polite">
      {of.problems.map((p, n) => <p key={n} class="failed"><code>{p.file}:{p.line}</code> {p.message}</p>)}
      {of.problems.length === 0 && (
        <>
          <p>{failed === 0 ? <Badge tone="good">All {number(of.total)} passed</Badge> : <><Badge tone="bad">{number(failed)} of {number(of.total)} failed</Badge></>} {older && <span class="muted">by the draft as it was then</span>}</p>
          <Table
            caption="Scenarios that were run" name="scenarios" rows={of.results} perPage={20} identify={(r) => `${r.file}:${r.line}`} empty="There was none to run."
            columns={[
              { label: 'Scenario', value: (r) => r.name, cell: (r) => <>{r.name}<span class="hint">{r.file}:{r.line}</span></> },
              { label: 'Came out', value: (r) => (r.passed ? 'passed' : 'failed'), cell: (r) => <Badge tone={r.passed ? 'good' : 'bad'}>{r.passed ? 'passed' : 'failed'}</Badge> },
              { label: 'Row', value: (r) => r.row, cell: (r) => <code>{r.row}</code> },
              { label: 'First difference', value: (r) => r.difference, cell: (r) => r.difference ?? '–' },
            ]}
          />
        </>
      )}
    </div>
  );
}

/** Writes a decision down as a scenario, and keeps it for the editor. */
export function AsScenario({ id }: { id: string }) {
  const [written, show] = useState<{ draft: Schemas['ScenarioDraft']; from: number | undefined; kept: boolean } | undefined>();
  const { busy, problem, done, act } = useAct();
  const write = () => act(async () => {
    const [draft, revisions] = await Promise.all([
      answer(client.GET('/decisions/{decisionID}/scenario', { params: { path: { decisionID: id } } })), answer(client.GET('/policy/revisions')),
    ]);
    show({ draft, from: revisions.live ?? revisions.revisions[0]?.number, kept: keepScenarios({ ...keptScenarios(), [draft.file]: draft.text }) });
  });
  return (
    <Card title="As a scenario" wide hint="What was known and what was decided, as a file that names nobody: a test that pins this answer, or shows that a change gives another.">
      {!written && <div class="row"><Button busy={busy} onClick={() => void write()}>Write it down</Button></div>}
      <Said done={done} problem={problem} />
      {written && (
        <>
          <pre tabIndex={0}>{written.draft.text}</pre>
          <div class="row">
            <Button onClick={() => download(written.draft.file.split('/').at(-1)!, written.draft.text, 'application/yaml')}>Take it away</Button>
            {written.from && written.kept && <a class="action main" href={`/console/policy/${written.from}/edit?part=scenarios`}>Try it with a draft</a>}
          </div>
        </>
      )}
    </Card>
  );
}
