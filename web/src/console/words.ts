// Numbers, times and names as people read them.
const whole = new Intl.NumberFormat();
const short = new Intl.NumberFormat(undefined, { notation: 'compact', maximumFractionDigits: 1 });

export const number = (n: number): string => whole.format(n);
export const compact = (n: number): string => (n < 100_000 ? whole.format(n) : short.format(n));

/** A share in per cent; a dash where there is nothing to divide by. */
export function share(of: number | undefined): string {
  if (of === undefined) return '–';
  const percent = of * 100;
  return `${percent.toFixed(percent !== 0 && percent < 10 ? 1 : 0)} %`;
}

export function milliseconds(ms: number): string {
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

export function bytes(n: number): string {
  if (n < 1024) return `${n} B`;
  if (n < 1024 * 1024) return `${(n / 1024).toFixed(0)} KiB`;
  return `${(n / 1024 / 1024).toFixed(1)} MiB`;
}

const units: [Intl.RelativeTimeFormatUnit, number][] = [['day', 86_400_000], ['hour', 3_600_000], ['minute', 60_000], ['second', 1000]];
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });

/** How long ago, or in how long. */
export function ago(at: Date, now = Date.now()): string {
  const away = at.getTime() - now;
  for (const [unit, ms] of units) if (Math.abs(away) >= ms) return relative.format(Math.round(away / ms), unit);
  return 'just now';
}

export const initial = (words: string): string => words.charAt(0).toUpperCase() + words.slice(1);

/** What actions of decisions are called. */
export const actions: Record<string, string> = {
  login: 'Login', append: 'Creation', mediation: 'Suggestion', rollout: 'Rollout', risk: 'Risk',
};

export const outcome = (d: { action: string; allow: boolean; verdict?: string | undefined }): string => {
  if (d.action === 'risk') return initial(d.verdict ?? 'judged');
  return d.allow ? 'Offered' : 'Not offered';
};

/** What is behind an empty value of a dimension. */
export const kind = (value: string | undefined): string => value || 'not known';

export const day = 86_400_000;
export const isoAgo = (ms: number): string => new Date(Date.now() - ms).toISOString().replace(/\.\d+Z$/, 'Z');
