// Rego, JSON and YAML in an editor, and side by side with what they were. It stands in a root of its own, whose rules of style it adopts: the page allows none that are written into it.
import { autocompletion, closeBrackets, closeBracketsKeymap, completionKeymap, type Completion, type CompletionContext, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { json } from '@codemirror/lang-json';
import { yaml } from '@codemirror/lang-yaml';
import { bracketMatching, foldGutter, HighlightStyle, indentUnit, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { lintGutter, setDiagnostics, type Diagnostic } from '@codemirror/lint';
import { unifiedMergeView } from '@codemirror/merge';
import { highlightSelectionMatches, openSearchPanel, search, searchKeymap } from '@codemirror/search';
import { EditorState, type Extension } from '@codemirror/state';
import { drawSelection, EditorView, highlightActiveLine, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const words = new Set(['package', 'import', 'default', 'else', 'if', 'contains', 'in', 'every', 'some', 'not', 'with', 'as', 'null', 'true', 'false']);

/** Rego as far as colours need it. */
const rego = StreamLanguage.define({
  name: 'rego',
  token(stream) {
    if (stream.eatSpace()) return null;
    if (stream.eat('#')) { stream.skipToEnd(); return 'comment'; }
    if (stream.match(/^"(?:[^"\\]|\\.)*"/) || stream.match(/^`[^`]*`?/)) return 'string';
    if (stream.match(/^\d+(\.\d+)?/)) return 'number';
    const word = stream.match(/^[A-Za-z_]\w*/) as RegExpMatchArray | null;
    if (word) return words.has(word[0]) ? 'keyword' : word[0] === 'input' || word[0] === 'data' ? 'atom' : 'variableName';
    if (stream.match(/^(:=|==|!=|<=|>=|[-+*/%&|=<>])/)) return 'operator';
    stream.next();
    return null;
  },
  languageData: { commentTokens: { line: '#' }, closeBrackets: { brackets: ['(', '[', '{', '"', '`'] } },
});

const colours = HighlightStyle.define([
  { tag: tags.comment, color: 'var(--muted)', fontStyle: 'italic' },
  { tag: [tags.keyword, tags.operatorKeyword], color: 'var(--code-word)', fontWeight: '600' },
  { tag: [tags.string, tags.special(tags.string)], color: 'var(--code-text)' },
  { tag: [tags.number, tags.bool, tags.null, tags.atom], color: 'var(--code-value)' },
  { tag: [tags.propertyName, tags.definition(tags.propertyName)], color: 'var(--code-name)' },
]);

const look = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'var(--surface)', color: 'var(--ink)', height: '100%' },
  '.cm-content': { fontFamily: 'var(--mono)', caretColor: 'var(--ink)' },
  '.cm-gutters': { backgroundColor: 'var(--ground)', color: 'var(--muted)', border: 'none' },
  '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'color-mix(in srgb, var(--accent) 8%, transparent)' },
  '&.cm-focused': { outline: '3px solid var(--focus)', outlineOffset: '-3px' },
  '&.cm-focused .cm-cursor': { borderLeftColor: 'var(--ink)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { backgroundColor: 'color-mix(in srgb, var(--accent) 25%, transparent)' },
  '.cm-tooltip': { backgroundColor: 'var(--surface)', color: 'var(--ink)', border: '1px solid var(--line)' },
  '.cm-tooltip-autocomplete > ul > li[aria-selected]': { backgroundColor: 'var(--accent)', color: 'var(--on-accent)' },
  '.cm-panels': { backgroundColor: 'var(--ground)', color: 'var(--ink)' },
  '.cm-changedLine': { backgroundColor: 'var(--yes-ground) !important' },
  '.cm-deletedChunk': { backgroundColor: 'var(--no-ground) !important' },
  '.cm-changedText, .cm-insertedLine': { background: 'transparent !important', textDecoration: 'none' },
  '.cm-collapsedLines': { background: 'var(--ground)', color: 'var(--muted)' },
  '.cm-collapsedLines:before, .cm-collapsedLines:after': { content: '"⋯"' },
});

function language(name: string): Extension {
  if (name.endsWith('.rego')) return rego;
  if (/\.ya?ml$/.test(name)) return yaml();
  return json();
}

function root(host: HTMLElement): ShadowRoot {
  return host.shadowRoot ?? host.attachShadow({ mode: 'open' });
}

const common = (name: string): Extension[] => [lineNumbers(), syntaxHighlighting(colours), look, language(name), EditorView.lineWrapping];

export interface Words { facts: { path: string; title: string }[]; parameters: { path: string; title: string }[] }

/** Completes facts after "input." and parameters after "data.keyward.parameters." or "settings.". */
function completes(known: () => Words) {
  return (context: CompletionContext): CompletionResult | null => {
    const typed = context.matchBefore(/(input|data\.keyward\.parameters|parameters|settings)\.[\w.]*/);
    if (!typed) return null;
    const prefix = /^(input|data\.keyward\.parameters|parameters|settings)\./.exec(typed.text)![0];
    const all = prefix === 'input.' ? known().facts : known().parameters;
    const options: Completion[] = all.map(({ path, title }) => ({ label: path, detail: title.slice(0, 60), type: 'property' }));
    return { from: typed.from + prefix.length, options, validFor: /^[\w.]*$/ };
  };
}

/** An editor of one file at a time. */
export class CodeEditor {
  private readonly view: EditorView;
  private readonly states = new Map<string, EditorState>(); // of the files that were looked at, with what can be undone
  private name = '';

  constructor(host: HTMLElement, private readonly changed: (name: string, text: string) => void, private readonly known: () => Words) {
    const shadow = root(host);
    this.view = new EditorView({ parent: shadow, root: shadow });
  }

  open(name: string, text: string, line = 0): void {
    if (this.name) this.states.set(this.name, this.view.state);
    if (this.name !== name || this.view.state.doc.toString() !== text) {
      const kept = this.states.get(name);
      this.name = name;
      this.view.setState(kept && kept.doc.toString() === text ? kept : EditorState.create({ doc: text, extensions: this.extensions(name) }));
    }
    if (line > 0 && line <= this.view.state.doc.lines) {
      const at = this.view.state.doc.line(line).from;
      this.view.dispatch({ selection: { anchor: at }, effects: EditorView.scrollIntoView(at, { y: 'center' }) });
      this.view.focus();
    }
  }

  mark(wrong: { line: number; message: string }[]): void {
    const { doc } = this.view.state;
    const diagnostics: Diagnostic[] = wrong.map(({ line, message }) => {
      const at = doc.line(Math.max(1, Math.min(line || 1, doc.lines)));
      return { from: at.from, to: at.to, severity: 'error', message };
    });
    this.view.dispatch(setDiagnostics(this.view.state, diagnostics));
  }

  find(): void { openSearchPanel(this.view); }

  destroy(): void { this.view.destroy(); }

  private extensions(name: string): Extension[] {
    return [
      ...common(name), history(), foldGutter(), drawSelection(), bracketMatching(), closeBrackets(), highlightActiveLine(), highlightSelectionMatches(), lintGutter(), search({ top: true }), indentUnit.of(name.endsWith('.rego') ? '\t' : '  '),
      autocompletion({ override: name.endsWith('.rego') ? [completes(this.known)] : null }),
      keymap.of([...closeBracketsKeymap, ...defaultKeymap, ...searchKeymap, ...historyKeymap, ...completionKeymap, { ...indentWithTab, preventDefault: true }]),
      EditorView.contentAttributes.of({ tabindex: '0', 'aria-label': `Content of ${name}. Press Escape, then Tab, to leave it.` }),
      EditorView.updateListener.of((update) => { if (update.docChanged) this.changed(this.name, update.state.doc.toString()); }),
    ];
  }
}

/** What became of a file, in one column: what went is above what came. */
export function showDifference(host: HTMLElement, name: string, before: string, after: string): () => void {
  const shadow = root(host);
  const view = new EditorView({
    parent: shadow, root: shadow, doc: after,
    extensions: [
      ...common(name), EditorState.readOnly.of(true), EditorView.editable.of(false), EditorView.contentAttributes.of({ tabindex: '0', role: 'textbox', 'aria-readonly': 'true', 'aria-label': `Changes of ${name}` }),
      unifiedMergeView({ original: before, mergeControls: false, gutter: true, collapseUnchanged: { margin: 3, minSize: 6 } }),
    ],
  });
  return () => view.destroy();
}
