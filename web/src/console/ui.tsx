// What screens of the console are made of.
import type { ComponentChildren, VNode } from 'preact';
import { useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Problem } from './api';
import type { Loaded } from './load';
import { ago, number } from './words';

/** A heading that takes the focus when its screen appears, so that who cannot see the change hears of it. */
export function Title({ children, aside, quiet }: { children: ComponentChildren; aside?: ComponentChildren; quiet?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    document.title = `${heading.current?.textContent ?? ''} · Keyward console`;
    if (!quiet) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="title">
      <h1 ref={heading} tabIndex={-1}>{children}</h1>
      {aside && <div class="aside">{aside}</div>}
    </div>
  );
}

export function Card({ title, hint, aside, children, wide, span }: {
  title?: ComponentChildren; hint?: ComponentChildren; aside?: ComponentChildren; children: ComponentChildren; wide?: boolean; span?: 'one' | 'two';
}) {
  const id = useId();
  return (
    <section class={['card', wide && 'wide', span].filter(Boolean).join(' ')} aria-labelledby={title ? id : undefined}>
      {title && (
        <header>
          <h2 id={id}>{title}</h2>
          {aside}
        </header>
      )}
      {hint && <p class="hint">{hint}</p>}
      {children}
    </section>
  );
}

/** A moment by the clock of who looks; UTC when it is pointed at. */
export function When({ at, relative }: { at: string | number | undefined; relative?: boolean }) {
  const [, tick] = useState(0);
  useEffect(() => {
    if (!relative) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 15_000);
    return () => clearInterval(timer);
  }, [relative]);
  if (at === undefined) return <>–</>;
  const moment = new Date(at);
  const today = moment.toDateString() === new Date().toDateString();
  const text = relative ? ago(moment) : today ? moment.toLocaleTimeString() : moment.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  return <time dateTime={moment.toISOString()} title={`${moment.toLocaleString()} here\n${moment.toISOString()} UTC`}>{text}</time>;
}

/** What is shown of something that is loaded: what came last, or that it is on its way, or what to do about its not coming. */
export function Shown<T>({ of, children, rows = 3 }: { of: Loaded<T>; children: (data: T) => ComponentChildren; rows?: number }) {
  if (of.data === undefined) {
    if (of.problem) return <Failed problem={of.problem} again={of.reload} />;
    return <div class="waiting" role="status" aria-label="Loading">{Array.from({ length: rows }, (_, n) => <span key={n} />)}</div>;
  }
  return (
    <>
      {of.problem && <Failed problem={of.problem} again={of.reload} older />}
      {children(of.data)}
    </>
  );
}

const advice: Record<number, string> = {
  0: 'Nothing that you did is lost. See whether the server runs.',
  403: 'Ask whoever manages operators for a role that may, or for the project.',
  404: 'It may have been deleted, or be too old to be kept.',
  409: 'Somebody else has changed it meanwhile. Look at what it is now, and decide again.',
  429: 'Wait a moment.',
  503: 'What it needs cannot be reached, or has only just begun. It usually helps to wait a moment.',
};

export function Failed({ problem, again, older }: { problem: Problem; again?: () => void; older?: boolean }) {
  return (
    <div class="failed" role="alert">
      <p><strong>{older ? 'What is below may be out of date.' : 'This could not be had.'}</strong> {problem.message}</p>
      {advice[problem.status] && <p class="small">{advice[problem.status]}</p>}
      {problem.requestID && <p class="small">Request <code>{problem.requestID}</code> in the server’s logs.</p>}
      {again && <button type="button" class="action" onClick={again}>Try again</button>}
    </div>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

/** What came of an act: said where it was done, and to who cannot see it. */
export function Said({ done, problem }: { done: string; problem: Problem | undefined }) {
  return (
    <div aria-live="polite">
      {problem && <Failed problem={problem} />}
      {done && <p class="done">{done}</p>}
    </div>
  );
}

export type Tone = 'good' | 'bad' | 'warn' | 'plain';

export function Badge({ tone = 'plain', children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge ${tone}`}>{children}</span>;
}

export function Button({ children, onClick, busy, kind = 'plain', disabled, submit }: {
  children: ComponentChildren; onClick?: () => void; busy?: boolean | undefined; kind?: 'main' | 'plain' | 'danger'; disabled?: boolean | undefined; submit?: boolean;
}) {
  return (
    <button type={submit ? 'submit' : 'button'} class={`action ${kind}`} aria-busy={busy ? 'true' : undefined} disabled={disabled} onClick={(event) => {
      if (busy) event.preventDefault();
      else onClick?.();
    }}>{children}</button>
  );
}

export function Text({ label, name, value, onInput, type = 'text', hint, required, placeholder, list, area }: {
  label: string; name?: string; value: string; onInput: (value: string) => void; type?: 'text' | 'password'; hint?: ComponentChildren; required?: boolean; placeholder?: string; list?: string[]; area?: boolean;
}) {
  const id = useId();
  const common = {
    id, name, value, required, placeholder, spellcheck: false, autocapitalize: 'none' as const, 'aria-describedby': hint ? id + 'h' : undefined,
    onInput: (event: { currentTarget: { value: string } }) => onInput(event.currentTarget.value),
  };
  return (
    <div class="field">
      <label for={id}>{label}</label>
      {area ? <textarea rows={3} {...common} /> : <input type={type as 'text'} autocomplete="off" list={list ? id + 'l' : undefined} {...common} />}
      {list && <datalist id={id + 'l'}>{list.map((one) => <option key={one} value={one} />)}</datalist>}
      {hint && <p class="hint" id={id + 'h'}>{hint}</p>}
    </div>
  );
}

export function Choice({ label, value, onChange, options }: { label: string; value: string; onChange: (value: string) => void; options: [string, string][] }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
        {options.map(([key, text]) => <option key={key} value={key}>{text}</option>)}
      </select>
    </div>
  );
}

/** Asks before something that others notice; what is typed has to be the word that is asked for, if there is one. */
export function Confirm({ title, children, word, go, cancel, busy, danger }: {
  title: string; children: ComponentChildren; word?: string; go: (label: string) => void; cancel: () => void; busy?: boolean; danger?: boolean;
}) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [typed, type] = useState('');
  const id = useId();
  useEffect(() => {
    dialog.current?.showModal();
    return () => dialog.current?.close();
  }, []);
  return (
    <dialog ref={dialog} aria-labelledby={id} onCancel={(event) => { event.preventDefault(); cancel(); }}>
      <form class="stack" onSubmit={(event) => { event.preventDefault(); if (!word || typed === word) go(typed); }}>
        <h2 id={id}>{title}</h2>
        {children}
        {word && <Text label={`Type ${word} to go on`} value={typed} onInput={type} />}
        <div class="row">
          <Button submit kind={danger ? 'danger' : 'main'} busy={busy} disabled={!!word && typed !== word}>{title}</Button>
          <Button onClick={cancel}>Cancel</Button>
        </div>
      </form>
    </dialog>
  );
}

export interface Column<R> {
  label: string;
  value: (row: R) => string | number | undefined; // for sorting, finding and CSV
  cell?: (row: R) => ComponentChildren; // without it, the value
  numeric?: boolean;
}

interface TableProps<R> {
  caption: string;
  columns: Column<R>[];
  rows: R[];
  name: string; // of the file that is exported
  empty: ComponentChildren;
  perPage?: number;
  find?: boolean;
  sorted?: boolean; // the order is the server's: columns do not sort
  identify?: (row: R) => string;
  tools?: ComponentChildren;
}

/** A table that sorts, finds, pages, and can be taken away as CSV. */
export function Table<R>({ caption, columns, rows, name, empty, perPage = 50, find = true, sorted, identify, tools }: TableProps<R>) {
  const [sort, setSort] = useState<{ at: number; down: boolean } | undefined>();
  const [text, setText] = useState('');
  const [page, setPage] = useState(0);
  const shown = useMemo(() => {
    const wanted = text.trim().toLowerCase();
    const found = wanted ? rows.filter((row) => columns.some((column) => String(column.value(row) ?? '').toLowerCase().includes(wanted))) : rows;
    const by = sort && columns[sort.at];
    return by ? [...found].sort((a, b) => compare(by.value(a), by.value(b)) * (sort.down ? -1 : 1)) : found;
  }, [rows, text, sort]);
  const pages = Math.max(1, Math.ceil(shown.length / perPage));
  const at = Math.min(page, pages - 1);
  if (rows.length === 0) return <>{tools}<Empty>{empty}</Empty></>;
  return (
    <div class="tabled">
      <div class="tools">
        {find && rows.length > 5 && <label class="find"><span class="heard">Find in {caption}</span><input type="search" placeholder="Find" value={text} onInput={(e) => { setText(e.currentTarget.value); setPage(0); }} /></label>}
        {tools}
        <button type="button" class="quiet" onClick={() => download(`${name}.csv`, csv(columns, shown))}>CSV</button>
      </div>
      <div class="scroll" tabIndex={0}>
        <table role="table" class={sorted ? 'still' : undefined}>
          <caption class="heard">{caption}</caption>
          <thead role="rowgroup">
            <tr role="row">
              {columns.map((column, n) => (
                <th key={column.label} role="columnheader" scope="col" class={column.numeric ? 'num' : undefined} aria-sort={sort?.at === n ? (sort.down ? 'descending' : 'ascending') : undefined}>
                  {sorted ? column.label : (
                    <button type="button" onClick={() => setSort(sort?.at === n ? (sort.down === !column.numeric ? undefined : { at: n, down: !sort.down }) : { at: n, down: !!column.numeric })}>
                      {column.label}<span aria-hidden="true">{sort?.at === n ? (sort.down ? ' ↓' : ' ↑') : ''}</span>
                    </button>
                  )}
                </th>
              ))}
            </tr>
          </thead>
          <tbody role="rowgroup">
            {shown.slice(at * perPage, (at + 1) * perPage).map((row, n) => (
              <tr key={identify?.(row) ?? n} role="row">
                {columns.map((column) => <td key={column.label} role="cell" data-label={column.label} class={column.numeric ? 'num' : undefined}><div class="cell">{column.cell ? column.cell(row) : plain(column.value(row))}</div></td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {shown.length === 0 && <Empty>Nothing of it has “{text}”.</Empty>}
      {pages > 1 && <Pager page={at + 1} pages={pages} items={shown.length} go={(to) => setPage(to - 1)} />}
    </div>
  );
}

const plain = (value: string | number | undefined): VNode | string => (value === undefined ? '–' : typeof value === 'number' ? number(value) : value);

function compare(a: string | number | undefined, b: string | number | undefined): number {
  if (a === undefined || b === undefined) return a === b ? 0 : a === undefined ? -1 : 1;
  if (typeof a === 'number' && typeof b === 'number') return a - b;
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}

export function Pager({ page, pages, items, go }: { page: number; pages: number; items: number; go: (page: number) => void }) {
  return (
    <nav class="pager" aria-label="Pages">
      <button type="button" class="quiet" disabled={page <= 1} onClick={() => go(page - 1)}>← Previous</button>
      <span>Page {number(page)} of {number(pages)} <span class="muted">({number(items)} in all)</span></span>
      <button type="button" class="quiet" disabled={page >= pages} onClick={() => go(page + 1)}>Next →</button>
    </nav>
  );
}

/** A value of a table as CSV has it. One that a spreadsheet would take for a formula is quoted so that it does not. */
function field(value: string | number | undefined): string {
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value ?? '');
  return /[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

export function csv<R>(columns: Column<R>[], rows: R[]): string {
  return [columns.map((c) => field(c.label)), ...rows.map((row) => columns.map((c) => field(c.value(row))))].map((line) => line.join(',')).join('\r\n') + '\r\n';
}

export function download(name: string, text: string, kind = 'text/csv'): void {
  const url = URL.createObjectURL(new Blob([text], { type: kind }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** A part of a whole, as a bar and in words. */
export function Bar({ of, label, text, tone }: { of: number | undefined; label: string; text: string; tone?: 'accent' | 'other' }) {
  return (
    <div class="bar">
      <span class="what">{label}</span>
      <span class="figure">{text}</span>
      <svg class={tone ?? 'accent'} viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true"><rect class="whole" width="100" height="1" /><rect class="part" width={Math.max(0, Math.min(1, of ?? 0)) * 100} height="1" /></svg>
    </div>
  );
}

export function Facts({ of }: { of: [string, ComponentChildren][] }) {
  return <dl class="facts">{of.filter(([, value]) => value !== undefined && value !== '' && value !== false).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>;
}
