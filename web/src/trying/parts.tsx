// What screens are made of.
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { sentence } from './words';

/** A heading that takes the focus when its screen appears, so that who cannot see the change hears of it. */
export function Heading({ children, quiet }: { children: ComponentChildren; quiet?: boolean }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    document.title = (heading.current?.textContent ?? '') + ' · Keyward';
    if (!quiet) heading.current?.focus({ preventScroll: true });
  }, []);
  return <h1 ref={heading} tabIndex={-1}>{children}</h1>;
}

interface FieldProps {
  name: string;
  label: string;
  fault?: string | undefined;
  hint?: ComponentChildren;
  type?: 'text' | 'email' | 'tel';
  autocomplete?: string;
  inputMode?: 'text' | 'email' | 'tel' | 'numeric';
  value?: string;
  required?: boolean;
  maxLength?: number;
}

/** A field with its label, and with what is wrong with it beside it. */
export function Field({ name, label, fault, hint, type = 'text', autocomplete, inputMode, value, required, maxLength }: FieldProps) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  useLayoutEffect(() => {
    if (fault) input.current?.focus();
  }, [fault]);
  const described = [fault && id + 'f', hint && id + 'h'].filter(Boolean).join(' ');
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        ref={input} id={id} name={name} type={type as 'text'} autocomplete={autocomplete as AutoFill} inputMode={inputMode} defaultValue={value}
        required={required} maxLength={maxLength} aria-invalid={fault ? 'true' : undefined} aria-describedby={described || undefined}
        spellcheck={false} autocapitalize="none"
      />
      {hint && <p class="hint" id={id + 'h'}>{hint}</p>}
      {fault && <p class="fault" id={id + 'f'}>{sentence(fault, label)}</p>}
    </div>
  );
}

interface ActionProps {
  busy: boolean; // this action is under way
  locked: boolean; // some action is
  children: ComponentChildren;
  onClick?: () => void;
  kind?: 'main' | 'plain' | 'danger';
  label?: string;
  focused?: boolean; // takes the focus when it appears, in the place of what had it
}

/** A button. While something is under way it stays where it is and can keep the focus, but does nothing. */
export function Action({ busy, locked, children, onClick, kind = 'plain', label, focused }: ActionProps) {
  const button = useRef<HTMLButtonElement>(null);
  useLayoutEffect(() => {
    if (focused) button.current?.focus();
  }, []);
  return (
    <button
      ref={button} type={onClick ? 'button' : 'submit'} class={'action ' + kind} aria-disabled={locked ? 'true' : undefined} aria-busy={busy ? 'true' : undefined} aria-label={label}
      onClick={(event) => {
        if (locked) event.preventDefault();
        else onClick?.();
      }}
    >
      <span>{children}</span>
    </button>
  );
}

/** A form that the page answers itself. What was typed reaches submit trimmed. */
export function Form({ submit, children }: { submit: (value: (name: string) => string) => void; children: ComponentChildren }) {
  return (
    <form
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        const data = new FormData(event.currentTarget);
        submit((name) => String(data.get(name) ?? '').trim());
      }}
    >
      {children}
    </form>
  );
}

/** A time of day; the date too, if it is not today's. */
export function When({ ms }: { ms: number }) {
  const at = new Date(ms);
  const today = at.toDateString() === new Date().toDateString();
  const text = today ? at.toLocaleTimeString() : at.toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' });
  return <time dateTime={at.toISOString()} title={at.toLocaleString()}>{text}</time>;
}

/** Words in which moments, as servers write them, are times of the reader's own clock. */
export function Timed({ text }: { text: string }) {
  const parts = text.split(/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z)/);
  return <>{parts.map((part, n) => (n % 2 ? <When key={n} ms={Date.parse(part)} /> : part))}</>;
}
