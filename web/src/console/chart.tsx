// A course over time, drawn where the browser has room for it, and the same figures as a table for who does not see it.
import { useEffect, useRef } from 'preact/hooks';
import type uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { Table } from './ui';

export interface Line { label: string; values: (number | null)[]; tone: string } // tone: the name of a custom property

interface ChartProps { caption: string; at: number[]; lines: Line[]; show: (value: number) => string; marks?: { at: number; label: string }[] } // at: Unix ms

export function Chart({ caption, at, lines, show, marks = [] }: ChartProps) {
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    let plot: uPlot | undefined;
    let gone = false;
    const element = place.current!;
    const size = () => ({ width: element.clientWidth, height: 190 });
    const watch = new ResizeObserver(() => plot?.setSize(size()));
    const dark = matchMedia('(prefers-color-scheme: dark)');
    const draw = async () => {
      const { default: Plot } = await import('uplot');
      if (gone) return;
      plot?.destroy();
      const colour = (name: string) => getComputedStyle(element).getPropertyValue(name).trim();
      const axis = { stroke: colour('--muted'), grid: { stroke: colour('--line'), width: 1 }, ticks: { show: false }, font: '12px system-ui, sans-serif' };
      plot = new Plot({
        ...size(), legend: { show: false }, cursor: { y: false, points: { size: 7 } },
        scales: { y: { range: (_, low, high) => [Math.min(0, low ?? 0), (high || 1) * 1.08] } },
        axes: [axis, { ...axis, size: 56, values: (_, ticks) => ticks.map(show) }],
        series: [{}, ...lines.map((line) => ({ label: line.label, stroke: colour(line.tone), width: 2, spanGaps: false, points: { show: at.length < 40, size: 5 } }))],
        hooks: {
          draw: [(u) => {
            for (const mark of marks) {
              const x = Math.round(u.valToPos(mark.at / 1000, 'x', true));
              if (x < u.bbox.left || x > u.bbox.left + u.bbox.width) continue;
              u.ctx.save();
              u.ctx.strokeStyle = colour('--edge');
              u.ctx.setLineDash([4, 4]);
              u.ctx.beginPath();
              u.ctx.moveTo(x, u.bbox.top);
              u.ctx.lineTo(x, u.bbox.top + u.bbox.height);
              u.ctx.stroke();
              u.ctx.restore();
            }
          }],
        },
      }, [at.map((ms) => ms / 1000), ...lines.map((line) => line.values)], element);
    };
    void draw();
    watch.observe(element);
    dark.addEventListener('change', draw);
    return () => {
      gone = true;
      watch.disconnect();
      dark.removeEventListener('change', draw);
      plot?.destroy();
    };
  }, [caption, at, lines, marks]);
  return (
    <figure class="chart">
      <figcaption>
        {lines.map((line) => <span key={line.label} class="key"><svg viewBox="0 0 12 4" width="12" height="4" aria-hidden="true" class={line.tone.slice(2)}><rect width="12" height="4" rx="2" /></svg>{line.label}</span>)}
        {marks.length > 0 && <span class="key muted">┆ release</span>}
      </figcaption>
      <div ref={place} class="plot" aria-hidden="true" />
      <details>
        <summary>As a table</summary>
        <Table
          caption={caption} name="series" empty="Nothing yet." find={false} rows={at.map((_, n) => n)} perPage={31}
          columns={[
            { label: 'When', value: (n) => new Date(at[n]!).toISOString(), cell: (n) => new Date(at[n]!).toLocaleDateString() },
            ...lines.map((line) => ({ label: line.label, numeric: true, value: (n: number) => line.values[n] ?? undefined, cell: (n: number) => (line.values[n] == null ? '–' : show(line.values[n]!)) })),
          ]}
        />
      </details>
    </figure>
  );
}
