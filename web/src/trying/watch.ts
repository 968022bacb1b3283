// What Keyward decided, and what it knows of the user, as it happens.
import { CallError, type Api } from './api';
import type { TrialDecision, TrialEvent } from './types';

/** A decision of this visit; until its record is there, only its ID is known. */
export interface Watched { id: string; explained?: TrialDecision; missing?: boolean }

export interface WatchedEvent extends TrialEvent { fresh: boolean }

const kept = 12; // decisions
const interval = 1000; // ms between two looks at the events

export class Watch {
  decisions: Watched[] = []; // newest first
  shown = ''; // ID of the decision that is looked at; empty: the newest
  events: WatchedEvent[] = []; // newest first
  following = false;
  private timer = 0;
  private asking = false;

  /** @param changed is called when there is something new to show. */
  constructor(private readonly api: Api, private readonly changed: () => void) {
    document.addEventListener('visibilitychange', () => this.schedule(0));
  }

  /** The decision to show. */
  get current(): Watched | undefined {
    return this.decisions.find((d) => d.id === this.shown) ?? this.decisions[0];
  }

  show(id: string): void {
    this.shown = id;
    this.changed();
  }

  /** Takes note of a decision and gets its explanation as soon as it is recorded. */
  decided(id: string): void {
    if (this.decisions.some((d) => d.id === id)) return;
    const watched: Watched = { id };
    this.decisions = [watched, ...this.decisions].slice(0, kept);
    this.shown = '';
    this.changed();
    void this.explain(watched);
    this.schedule(0);
  }

  private async explain(watched: Watched): Promise<void> {
    for (const wait of [200, 300, 500, 1000, 1500, 2000, 3000]) {
      await new Promise((resolve) => setTimeout(resolve, wait));
      try {
        watched.explained = await this.api.get<TrialDecision>('/trial/decisions/' + watched.id, 'nobody');
        this.changed();
        return;
      } catch (failed) {
        const later = failed instanceof CallError && (failed.status === 404 || failed.status === 503 || failed.status === 429);
        if (!later) break;
      }
    }
    watched.missing = true;
    this.changed();
  }

  /** Follows the events of the user who is signed in, or stops. */
  follow(on: boolean): void {
    this.following = on;
    if (!on) this.events = [];
    this.schedule(0);
  }

  private schedule(wait: number): void {
    clearTimeout(this.timer);
    if (this.following && !document.hidden) this.timer = window.setTimeout(() => void this.look(), wait);
  }

  private async look(): Promise<void> {
    if (this.asking) return;
    this.asking = true;
    try {
      this.take((await this.api.get<{ events: TrialEvent[] }>('/trial/events', 'session')).events);
    } catch {
      // It is asked again in a moment; that the session has ended is seen to where calls are made.
    } finally {
      this.asking = false;
      this.schedule(interval);
    }
  }

  private take(events: TrialEvent[]): void {
    if (!this.following) return;
    const known = new Set(this.events.map((e) => e.passkeyEventID));
    const news = events.some((e) => !known.has(e.passkeyEventID)) || events.length !== this.events.length;
    if (!news) return;
    // What was there at the first look is not news.
    const first = this.events.length === 0;
    this.events = events.map((e) => ({ ...e, fresh: !first && !known.has(e.passkeyEventID) }));
    this.changed();
  }
}
