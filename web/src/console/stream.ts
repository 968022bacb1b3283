// What comes without end: followed for as long as a screen is there, and sampled where more comes than anybody can read.
import { useEffect, useRef, useState } from 'preact/hooks';
import { follow, type Problem } from './api';
import { asProblem } from './load';

export const most = 100; // rows that are kept in view
export const perSecond = 20; // rows that are shown in a second; the rest is counted

export interface Live<T> { rows: T[]; all: number; shown: number; open: boolean; problem: Problem | undefined; paused: boolean; pause: (paused: boolean) => void }

/** Follows a stream of server-sent events. It begins anew when the path changes, and goes on after the last that it saw when the connection ends. */
export function useStream<T>(path: string, wanted: (event: string) => boolean, read: (data: string, event: string) => T): Live<T> {
  const [state, set] = useState<{ rows: T[]; all: number; shown: number }>({ rows: [], all: 0, shown: 0 });
  const [problem, fail] = useState<Problem | undefined>();
  const [open, connect] = useState(false); // whatever comes from now on is seen
  const [paused, pause] = useState(false);
  const held = useRef(paused);
  held.current = paused;
  const latest = useRef({ wanted, read });
  latest.current = { wanted, read };
  useEffect(() => {
    if (!path) return undefined;
    const control = new AbortController();
    let waiting: [string, string][] = [];
    let arrived = 0;
    let last = '';
    const run = async () => {
      while (!control.signal.aborted) {
        try {
          await follow(path, control.signal, (event, data, id) => {
            if (id) last = id;
            if (!latest.current.wanted(event) || held.current) return;
            arrived++;
            if (waiting.length < perSecond) waiting.push([data, event]);
          }, last, () => { fail(undefined); connect(true); });
        } catch (failed) {
          if (control.signal.aborted) return;
          fail(asProblem(failed));
        }
        if (!control.signal.aborted) connect(false);
        await new Promise((resolve) => setTimeout(resolve, 2000));
      }
    };
    set({ rows: [], all: 0, shown: 0 });
    connect(false);
    void run();
    const timer = setInterval(() => {
      if (arrived === 0) return;
      const [fresh, came] = [waiting.reverse().map(([data, event]) => latest.current.read(data, event)), arrived];
      waiting = [];
      arrived = 0;
      set((s) => ({ rows: [...fresh, ...s.rows].slice(0, most), all: s.all + came, shown: s.shown + fresh.length }));
    }, 1000);
    return () => { control.abort(); clearInterval(timer); };
  }, [path]);
  return { ...state, open, problem, paused, pause };
}
