// What became of a file. The editor is loaded when something is to be shown in it.
import { useEffect, useRef } from 'preact/hooks';

export function Diff({ name, before, after }: { name: string; before: string; after: string }) {
  const host = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let gone = false;
    let end: () => void = () => {};
    void import('./code').then(({ showDifference }) => { if (!gone) end = showDifference(host.current!, name, before, after); });
    return () => { gone = true; end(); };
  }, [name, before, after]);
  return <div class="diff" ref={host} />;
}
