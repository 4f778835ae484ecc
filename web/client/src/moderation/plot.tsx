// What the coming days will expire and purge: one column a day, upwards what stops being public, downwards what is destroyed.
import type { QueueQuery } from "../documents";
import { asDay, size } from "../parts/times";

type Day = NonNullable<QueueQuery["moderation"]>["retentionForecast"][number];

const STEP = 8;
const HALF = 60;

export function Forecast({ days }: { days: readonly Day[] }) {
  const most = Math.max(1, ...days.map(({ expiring, purging, held }) => Math.max(expiring, purging + held)));
  const height = (value: number) => (value / most) * (HALF - 4);
  const sum = (field: "expiring" | "purging" | "held") => days.reduce((total, day) => total + day[field], 0);
  const bytes = days.reduce((total, day) => total + day.purgingBytes, 0);
  const middle = days[Math.floor(days.length / 2)];
  const last = days.at(-1);
  const text = `In ${days.length} days: ${sum("expiring")} stop being public, ${sum("purging")} are destroyed (${size(bytes)}), ${sum("held")} are held back.`;
  return (
    <figure class="forecast">
      <svg viewBox={`0 0 ${days.length * STEP} ${HALF * 2}`} preserveAspectRatio="none" role="img" aria-label={text}>
        {days.map((day, index) => index % 7 === 0 && <line key={day.date} class="week" x1={index * STEP} x2={index * STEP} y1="0" y2={HALF * 2} />)}
        <line x1="0" x2={days.length * STEP} y1={HALF} y2={HALF} />
        {days.map((day, index) => {
          const x = index * STEP + 1;
          const width = STEP - 2;
          return (
            <g key={day.date}>
              <title>{`${asDay(day.date)}: ${day.expiring} expire, ${day.purging} destroyed, ${day.held} held`}</title>
              <rect class="hit" x={index * STEP} y="0" width={STEP} height={HALF * 2} />
              <rect class="expiring" x={x} width={width} y={HALF - height(day.expiring)} height={height(day.expiring)} rx="2" />
              <rect class="purging" x={x} width={width} y={HALF} height={height(day.purging)} rx="2" />
              <rect class="held" x={x} width={width} y={HALF + height(day.purging)} height={height(day.held)} rx="2" />
            </g>
          );
        })}
      </svg>
      <div class="axis quiet" aria-hidden="true">
        <span>today</span>
        {middle !== undefined && <span>{asDay(middle.date)}</span>}
        {last !== undefined && <span>{asDay(last.date)}</span>}
      </div>
      <figcaption class="quiet">
        <span class="key expiring">↑ {sum("expiring")} stop being public</span>
        <span class="key purging">
          ↓ {sum("purging")} destroyed ({size(bytes)})
        </span>
        <span class="key held">↓ {sum("held")} held back</span>
      </figcaption>
    </figure>
  );
}
