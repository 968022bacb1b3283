// The policy's figures and rules, changed from a revision on, checked while they are typed, and pushed as the next one.
import { useEffect, useMemo, useRef, useState } from 'preact/hooks';
import { useLocation, useRoute } from 'preact-iso';
import { answer, client, type Schemas } from '../api';
import { differences, pack, unpack, type Files } from '../bundle';
import type { CodeEditor } from '../code';
import { Diff } from '../diff';
import { asProblem, useAct, useLoad } from '../load';
import { factsOf, inWords, parametersOf, withParameter, type Parameter } from '../parameters';
import { Badge, Button, Card, Confirm, Empty, Failed, Said, Shown, Text, Title } from '../ui';
import { number } from '../words';
import type { Problem } from '../api';
import { Scenarios } from './scenarios';

type Check = Schemas['PolicyCheck'];

export function Editor() {
  const { params } = useRoute();
  const from = Number(params.number);
  const loaded = useLoad((signal) => answer(client.GET('/policy/revisions/{number}/bundle', { params: { path: { number: from } }, signal })).then(({ bundle }) => unpack(bundle)), [from]);
  return (
    <>
      <p class="crumbs"><a href="/console/policy">Policy</a> <a href={`/console/policy/${from}`}>Revision {from}</a></p>
      <Shown of={loaded} rows={10}>{(files) => <Draft key={from} from={from} original={files} />}</Shown>
    </>
  );
}

const draftKey = (from: number) => `keyward.draft.${from}`;

/** A draft is kept by this browser until it is pushed or thrown away, and by nobody else. */
function keptDraft(from: number): Files | undefined {
  try {
    return JSON.parse(localStorage.getItem(draftKey(from)) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
}

function keep(from: number, changed: Files | undefined): boolean {
  try {
    if (changed) localStorage.setItem(draftKey(from), JSON.stringify(changed));
    else localStorage.removeItem(draftKey(from));
    return true;
  } catch {
    return false;
  }
}

function Draft({ from, original }: { from: number; original: Files }) {
  const [files, edit] = useState<Files>(() => ({ ...original, ...keptDraft(from) }));
  const { query } = useLocation();
  const [place, go] = useState<'figures' | 'files' | 'scenarios' | 'changes'>(query.part === 'scenarios' ? 'scenarios' : 'figures');
  const [open, show] = useState<{ name: string; line: number }>({ name: '', line: 0 });
  const [resumed] = useState(() => keptDraft(from) !== undefined);
  const [elsewhere, notice] = useState(false);
  const changed = useMemo(() => differences(original, files), [files]);
  const checked = useCheck(from, files, changed.length > 0);
  useEffect(() => { keep(from, changed.length ? Object.fromEntries(changed.filter((d) => d.kind !== 'removed').map((d) => [d.name, d.after])) : undefined); }, [changed]);
  useEffect(() => {
    const heard = (event: StorageEvent) => { if (event.key === draftKey(from)) notice(true); };
    addEventListener('storage', heard);
    return () => removeEventListener('storage', heard);
  }, []);
  const places: [typeof place, string][] = [['figures', 'Figures'], ['files', 'Rules and files'], ['scenarios', 'Scenarios'], ['changes', `Changes (${changed.length})`]];
  return (
    <>
      <Title aside={<Push from={from} files={files} changed={changed.length} checked={checked} />}>Change of revision {from}</Title>
      {resumed && changed.length > 0 && <p class="note" role="status">This is a draft that this browser kept. <button type="button" class="link" onClick={() => edit(original)}>Throw it away</button></p>}
      {elsewhere && <div class="failed" role="alert"><p><strong>Another tab edits this draft too.</strong> What is pushed is what you see here.</p><Button onClick={() => { edit({ ...original, ...keptDraft(from) }); notice(false); }}>Take what the other tab has</Button></div>}
      <Verdict of={checked} go={(name, line) => { go('files'); show({ name, line }); }} changed={changed.length > 0} />
      <div class="tabs" role="tablist" aria-label="Parts of the policy">
        {places.map(([key, name]) => <button key={key} type="button" role="tab" id={`tab-${key}`} aria-selected={place === key} aria-controls="part" onClick={() => go(key)}>{name}</button>)}
      </div>
      <div id="part" role="tabpanel" aria-labelledby={`tab-${place}`}>
        {place === 'figures' && <Figures files={files} original={original} edit={edit} />}
        {place === 'files' && <Code files={files} original={original} edit={(name, text) => edit((f) => ({ ...f, [name]: text }))} open={open} show={(name) => show({ name, line: 0 })} check={checked.found} />}
        {place === 'scenarios' && <Scenarios from={from} files={files} />}
        {place === 'changes' && (
          <Card>{changed.length === 0 ? <Empty>Nothing is changed yet.</Empty> : changed.map((d) => <section key={d.name}><h3><code>{d.name}</code></h3><Diff name={d.name} before={d.before} after={d.after} /></section>)}</Card>
        )}
      </div>
    </>
  );
}

// -- checked while it is typed --

interface Checked { found: Check | undefined; busy: boolean; problem: Problem | undefined; of: Files | undefined }

function useCheck(from: number, files: Files, needed: boolean): Checked {
  const [state, set] = useState<Checked>({ found: undefined, busy: false, problem: undefined, of: undefined });
  useEffect(() => {
    if (!needed) {
      set({ found: undefined, busy: false, problem: undefined, of: undefined });
      return undefined;
    }
    const control = new AbortController();
    const timer = setTimeout(async () => {
      set((s) => ({ ...s, busy: true }));
      try {
        const found = await answer(client.POST('/policy/check', { body: { bundle: await pack(files), parent: from }, signal: control.signal }));
        if (!control.signal.aborted) set({ found, busy: false, problem: undefined, of: files });
      } catch (failed) {
        if (!control.signal.aborted) set({ found: undefined, busy: false, problem: asProblem(failed), of: files });
      }
    }, 250);
    return () => { clearTimeout(timer); control.abort(); };
  }, [files, needed]);
  return state;
}

function Verdict({ of, go, changed }: { of: Checked; go: (name: string, line: number) => void; changed: boolean }) {
  if (!changed) return <p class="check muted">Change a figure or a rule. It is checked, with its tests, while you type, and nothing is live before somebody activates it.</p>;
  if (of.problem) return <Failed problem={of.problem} />;
  return (
    <div class="check" role="status">
      {of.busy || !of.found ? <p class="muted">Checking, tests included …</p> : of.found.refused.length === 0 ? (
        <><p><Badge tone="good">Good</Badge> {number(of.found.tests)} tests passed.</p>{of.found.advice.map((a) => <p key={a} class="small muted">{a}</p>)}</>
      ) : (
        <><p><Badge tone="bad">Refused</Badge> {of.found.refused.length === 1 ? 'One thing is wrong.' : `${of.found.refused.length} things are wrong.`}</p>
          <ul class="wrong">{of.found.refused.slice(0, 20).map((r, n) => (
            <li key={n}>{r.file && <button type="button" class="link" onClick={() => go(r.file!, r.line ?? 0)}><code>{r.file}{r.line ? `:${r.line}` : ''}</code></button>} {r.message}{r.advice && <span class="hint">{r.advice}</span>}</li>
          ))}</ul></>
      )}
    </div>
  );
}

// -- figures --

function Figures({ files, original, edit }: { files: Files; original: Files; edit: (to: (files: Files) => Files) => void }) {
  const [text, find] = useState('');
  const before = useMemo(() => new Map(parametersOf(original).map((p) => [p.name, JSON.stringify(p.value)])), [original]);
  let all: Parameter[] = [];
  try {
    all = parametersOf(files);
  } catch {
    return <Card><Empty>data.json cannot be read as it is. Mend it below “Rules and files”.</Empty></Card>;
  }
  const wanted = text.trim().toLowerCase();
  const shown = wanted ? all.filter((p) => (p.name + ' ' + p.meaning).toLowerCase().includes(wanted)) : all;
  if (all.length === 0) return <Card><Empty>The bundle declares no parameters.</Empty></Card>;
  return (
    <Card>
      <label class="find"><span class="heard">Find a figure</span><input type="search" placeholder={`Find among ${all.length} figures`} value={text} onInput={(e) => find(e.currentTarget.value)} /></label>
      <ul class="figures">
        {shown.map((p) => {
          const was = before.get(p.name);
          const now = JSON.stringify(p.value);
          return (
            <li key={p.name} class={was !== now ? 'changed' : undefined}>
              <Figure of={p} set={(value) => edit((f) => withParameter(f, p.path, value))} />
              <p class="hint">{p.meaning}{was !== now && <> <Badge tone="warn">was {was ?? 'not given'}</Badge> <button type="button" class="link" onClick={() => edit((f) => withParameter(f, p.path, was === undefined ? undefined : JSON.parse(was)))}>as it was</button></>}</p>
            </li>
          );
        })}
      </ul>
      {shown.length === 0 && <Empty>No figure has “{text}”.</Empty>}
    </Card>
  );
}

function Figure({ of, set }: { of: Parameter; set: (value: unknown) => void }) {
  const id = `figure-${of.name}`;
  if (of.kind === 'boolean') return <label class="figure" for={id}><code>{of.name}</code><input id={id} type="checkbox" checked={of.value === true} onChange={(e) => set(e.currentTarget.checked)} /></label>;
  if (of.kind === 'number') {
    return (
      <label class="figure" for={id}><code>{of.name}</code>
        <span><input id={id} type="number" min={of.least} max={of.most} step="any" value={of.value as number} onChange={(e) => { const to = e.currentTarget.valueAsNumber; if (!Number.isNaN(to)) set(to); }} />{of.seconds && typeof of.value === 'number' && <span class="muted"> s = {inWords(of.value)}</span>}</span>
      </label>
    );
  }
  if (of.kind === 'text' && of.choices) {
    return <label class="figure" for={id}><code>{of.name}</code><select id={id} value={String(of.value ?? '')} onChange={(e) => set(e.currentTarget.value)}>{of.choices.map((c) => <option key={c}>{c}</option>)}</select></label>;
  }
  return <Literal of={of} id={id} set={set} />;
}

/** What is no single figure is JSON. */
function Literal({ of, id, set }: { of: Parameter; id: string; set: (value: unknown) => void }) {
  const now = of.value === undefined ? '' : JSON.stringify(of.value);
  const [text, type] = useState(now);
  const [wrong, complain] = useState(false);
  useEffect(() => type(now), [now]);
  return (
    <label class="figure" for={id}><code>{of.name}</code>
      <input id={id} value={text} aria-invalid={wrong ? 'true' : undefined} spellcheck={false} onInput={(e) => type(e.currentTarget.value)} onChange={() => {
        try {
          set(text === '' ? undefined : JSON.parse(text));
          complain(false);
        } catch {
          complain(true);
        }
      }} />
    </label>
  );
}

// -- rules and files --

function Code({ files, original, edit, open, show, check }: {
  files: Files; original: Files; edit: (name: string, text: string) => void; open: { name: string; line: number }; show: (name: string) => void; check: Check | undefined;
}) {
  const host = useRef<HTMLDivElement>(null);
  const editor = useRef<CodeEditor | undefined>(undefined);
  const [ready, set] = useState(false);
  const names = useMemo(() => Object.keys(files).sort(), [files]);
  const name = open.name && files[open.name] !== undefined ? open.name : (names.find((n) => n === 'login/login.rego') ?? names.find((n) => n.endsWith('.rego')) ?? names[0] ?? '');
  const latest = useRef({ edit, files });
  latest.current = { edit, files };
  useEffect(() => {
    let gone = false;
    void import('../code').then(({ CodeEditor: Made }) => {
      if (gone) return;
      const words = { facts: factsOf(original), parameters: parametersOf(original).map((p) => ({ path: p.name, title: p.meaning })) };
      editor.current = new Made(host.current!, (n, text) => latest.current.edit(n, text), () => words);
      set(true);
    });
    return () => { gone = true; editor.current?.destroy(); editor.current = undefined; };
  }, []);
  useEffect(() => { if (ready) editor.current?.open(name, latest.current.files[name] ?? '', open.line); }, [ready, name, open]);
  useEffect(() => {
    if (ready) editor.current?.mark((check?.refused ?? []).filter((r) => r.file === name).map((r) => ({ line: r.line ?? 1, message: r.message })));
  }, [ready, name, check]);
  const wrong = new Set((check?.refused ?? []).map((r) => r.file));
  return (
    <div class="code">
      <div class="picker">
        <label class="field"><span>File</span>
          <select value={name} onChange={(e) => show(e.currentTarget.value)}>
            {names.map((n) => <option key={n} value={n}>{wrong.has(n) ? '✕ ' : files[n] !== original[n] ? '● ' : ''}{n}</option>)}
          </select>
        </label>
        <Button onClick={() => editor.current?.find()}>Find</Button>
      </div>
      <div class="editor" ref={host} />
    </div>
  );
}

// -- push --

function Push({ from, files, changed, checked }: { from: number; files: Files; changed: number; checked: Checked }) {
  const { route } = useLocation();
  const [asking, ask] = useState(false);
  const [message, say] = useState('');
  const [others, tell] = useState<Schemas['PolicyRevision'][]>([]);
  const { busy, problem, done, act } = useAct();
  const good = checked.of === files && checked.found?.refused.length === 0;
  const begin = () => act(async () => {
    const { revisions } = await answer(client.GET('/policy/revisions'));
    tell(revisions.filter((r) => r.number > from));
    ask(true);
  });
  const push = () => act(async () => {
    const pushed = await answer(client.POST('/policy/revisions', { body: { bundle: await pack(files), message, parent: from } }));
    keep(from, undefined);
    route(`/console/policy/${pushed.number}`);
  });
  return (
    <>
      <Button kind="main" disabled={!good || changed === 0} busy={busy} onClick={() => void begin()}>Push</Button>
      {problem && !asking && <Said done={done} problem={problem} />}
      {asking && (
        <Confirm title="Push the revision" busy={busy} cancel={() => ask(false)} go={() => void push()}>
          <p>It is kept as the next revision, and is not live by that.</p>
          {others.length > 0 && <p class="note">{others.length === 1 ? 'A revision has' : `${others.length} revisions have`} been pushed since {from}, the latest by {others[0]!.author.name}: “{others[0]!.message.split('\n')[0]}”. What it changes is not in yours: nothing of it is overwritten, but if yours goes live, it goes.</p>}
          <Text label="What it changes, and why" value={message} onInput={say} required area />
          {problem && <Failed problem={problem} />}
        </Confirm>
      )}
    </>
  );
}
