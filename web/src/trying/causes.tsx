// What an answer came from: the events that were counted and what worked here, and what would change it.
import { Timed } from './parts';
import type { TrialCause } from './types';
import { initial } from './words';

export function Causes({ all }: { all: TrialCause[] }) {
  return <>{all.map((section) => <Section key={section.heading} section={section} />)}</>;
}

function Section({ section }: { section: TrialCause }) {
  return (
    <section>
      <h3>{section.heading}</h3>
      <ul class="causes">
        {section.items.map((item) => (
          <li key={item.text}>
            <Timed text={initial(item.text)} />
            {item.events.map((one) => <span class="hint" key={one}><Timed text={one.replaceAll('  ', ' · ')} /></span>)}
          </li>
        ))}
      </ul>
    </section>
  );
}
