// Preloaded (NODE_OPTIONS=--import) into a gateway and its restorer: everything telemetry does is left undone.
import { Counter, Gauge, Histogram } from 'prom-client';
import { PictureProbe } from '../../src/restore/picture-probe.ts';
import { HostReadings } from '../../src/telemetry/host-readings.ts';
import { Metrics } from '../../src/telemetry/metrics.ts';
import { Traces } from '../../src/telemetry/trace.ts';

const nothing = () => {};
Counter.prototype.inc = nothing;
Gauge.prototype.set = nothing;
Histogram.prototype.observe = nothing;
Metrics.prototype.collectProcess = nothing;
Metrics.prototype.observePicture = nothing;
HostReadings.prototype.read = async () => {};
Traces.prototype.add = nothing;
PictureProbe.prototype.decoded = nothing;
PictureProbe.prototype.finished = nothing;
PictureProbe.prototype.needSource = () => false;
