// Preloaded (NODE_OPTIONS=--import) into a gateway and its restorer: from one SIGUSR2 to the next, everything that
// telemetry does is left undone.
import { isMainThread } from 'node:worker_threads';
import { Counter, Gauge, Histogram } from 'prom-client';
import { PictureProbe } from '../../src/restore/picture-probe.ts';
import { Deliveries } from '../../src/telemetry/deliveries.ts';
import { HostReadings } from '../../src/telemetry/host-readings.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Traces } from '../../src/telemetry/trace.ts';

const nothing = () => {};
const undone: [object, Record<string, () => unknown>][] = [
  [Counter.prototype, { inc: nothing }],
  [Gauge.prototype, { set: nothing }],
  [Histogram.prototype, { observe: nothing }],
  [Metrics.prototype, { observePicture: nothing, observeAccelerators: nothing }],
  [HostReadings.prototype, { read: async () => {} }],
  [Traces.prototype, { add: nothing }],
  [Deliveries.prototype, { published: nothing, sent: nothing, shown: nothing }],
  [PictureProbe.prototype, { decoded: nothing, finished: nothing, needSource: () => false }],
];
let other = undone;

function swap(): void {
  other = other.map(([target, methods]) => {
    const present = Object.fromEntries(
      Object.keys(methods).map((name) => [name, Reflect.get(target, name) as () => unknown]),
    );
    Object.assign(target, methods);
    return [target, present];
  });
}

if (isMainThread) process.on('SIGUSR2', swap);
