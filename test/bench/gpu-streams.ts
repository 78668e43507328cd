import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { now } from '../../src/contracts/time.ts';
import type { Provider } from '../../src/restore/device/device.ts';
import { Inference, type Job } from '../../src/restore/inference.ts';
import { pictureBytes } from '../../src/restore/picture.ts';
import { quantile } from './host.ts';

export interface PartOptions {
  /** Directory of model directories. */
  models: string;
  seconds: number;
  /** Lines. */
  sizes: number[];
  widthOf(height: number): number;
  table(...heads: string[]): void;
  row(cells: (string | number)[]): void;
}

const FPS = 25;
/** p95 from a frame's arrival to its finished picture, ms: what is left of 150 ms is the encoder's. */
const HELD = 140;
const MOST = 512;

/** Streams at 25 fps through the scheduler and the inference thread, without decoders and encoders. */
class Load {
  private readonly inference: Inference;
  private readonly spare: ArrayBuffer[] = [];
  private readonly bytes: number;
  private readonly width: number;
  private readonly height: number;
  private readonly model: string;
  private readonly future: number;
  /** ms from a frame's arrival to its picture; a lookahead's wait for the next frame counts. */
  latencies: number[] = [];
  /** Frames that arrived while their stream had too many waiting. */
  dropped = 0;

  constructor({ inference, futures }: Opened, model: string, width: number, height: number) {
    this.inference = inference;
    this.model = model;
    this.future = futures.get(model) ?? 0;
    this.width = width;
    this.height = height;
    this.bytes = pictureBytes(width, height);
  }

  private buffer(): ArrayBuffer {
    const present = this.spare.pop();
    if (present) return present;
    const picture = new Uint8Array(this.bytes);
    for (let i = 0; i < picture.length; i += 7) picture[i] = 64 + ((i >> 5) & 63);
    return picture.buffer;
  }

  /** @returns frames restored */
  async run(streams: number, seconds: number, fps = FPS): Promise<number> {
    this.latencies = [];
    this.dropped = 0;
    const ends = now() + seconds * 1000;
    let restored = 0;
    const one = async (number: number) => {
      const stream = `s${number}`;
      let waiting = 0;
      let at = now() + (number * 1000) / fps / streams;
      const idle: (() => void)[] = [];
      while (at < ends) {
        await sleep(Math.max(0, at - now()));
        const arrival = at;
        at += 1000 / fps;
        if (waiting >= 8) {
          this.dropped++;
          continue;
        }
        waiting++;
        const job: Job = {
          stream,
          deadline: arrival + 150,
          dispatch: () => ({
            model: this.model,
            picture: this.buffer(),
            out: this.buffer(),
            source: undefined,
            request: {
              width: this.width,
              height: this.height,
              strength: 1,
              smoothing: 0.5,
              restore: true,
              fresh: false,
            },
          }),
          done: (result) => {
            waiting--;
            this.spare.push(result.out, ...result.recycled);
            if (result.error) throw new Error(result.error.message);
            if (result.timings) {
              restored++;
              this.latencies.push(now() - arrival + (this.future * 1000) / fps);
            }
            if (waiting === 0) for (const wake of idle.splice(0)) wake();
          },
          cancelled: () => waiting--,
        };
        this.inference.submit(job);
      }
      if (waiting > 0) await new Promise<void>((done) => idle.push(done));
      this.inference.forget(stream);
    };
    await Promise.all(Array.from({ length: streams }, (_, number) => one(number)));
    return restored;
  }

  async held(streams: number, seconds: number): Promise<boolean> {
    await this.run(streams, seconds);
    return this.dropped === 0 && quantile(this.latencies, 0.95) < HELD;
  }
}

interface Opened {
  inference: Inference;
  lanes: number;
  /** Frames a model looks ahead. */
  futures: Map<string, number>;
}

async function open(
  provider: Provider,
  models: string,
  { device = 0, lanes }: { device?: number; lanes?: number | undefined } = {},
): Promise<Opened> {
  const options = { models, provider, only: provider, threads: 8, device, ...(lanes && { lanes }) };
  const inference = new Inference(options, (error) => {
    throw error;
  });
  const accelerator = await inference.ready;
  if (Object.keys(accelerator.speeds).length === 0)
    throw new Error(`${provider} does not work here: ${accelerator.providers[0]?.detail}`);
  return {
    inference,
    lanes: await inference.widen(),
    futures: new Map(accelerator.models.map(({ name, window }) => [name, window.future])),
  };
}

/** The most streams held: doubled until they are not, then halved in between. */
async function mostHeld(load: Load, lanes: number, seconds: number): Promise<number> {
  // Every lane opens the model for this size.
  await load.run(lanes, 1);
  let good = 0;
  let bad = MOST + 1;
  for (
    let streams = 1;
    streams <= MOST;
    streams = good === 0 || bad <= MOST ? Math.floor((good + bad) / 2) : good * 2
  ) {
    if (await load.held(streams, seconds)) good = streams;
    else bad = streams;
    if (bad - good <= Math.max(1, Math.floor(good / 16))) break;
  }
  return good;
}

export async function streamsPart(
  providers: Provider[],
  names: string[],
  lanes: (number | undefined)[],
  options: PartOptions,
): Promise<void> {
  console.log(
    `\n## 25 fps streams held on one accelerator (p95 arrival to picture under ${HELD} ms, nothing dropped)\n`,
  );
  options.table('model', 'size', 'provider', 'lanes', 'streams', 'frames a second', 'p95 ms');
  for (const provider of providers) {
    if (provider === 'cpu') continue;
    for (const count of lanes) {
      const opened = await open(provider, options.models, { lanes: count });
      for (const model of names) {
        for (const height of options.sizes) await streamsRow(opened, provider, model, height, options);
      }
      await opened.inference.close();
    }
  }
}

async function streamsRow(
  opened: Opened,
  provider: Provider,
  model: string,
  height: number,
  { widthOf, seconds, row }: PartOptions,
): Promise<void> {
  const width = widthOf(height);
  const load = new Load(opened, model, width, height);
  const streams = await mostHeld(load, opened.lanes, seconds);
  const restored = streams > 0 ? await load.run(streams, seconds) : 0;
  const p95 = quantile(load.latencies, 0.95);
  const figures = [streams, Math.round(restored / seconds), p95.toFixed(0)];
  row([model, `${width}x${height}`, provider, opened.lanes, ...figures]);
}

/** Frames a second of a saturated accelerator, in a thread of its own as a restorer process would have it. */
async function saturated(job: {
  provider: Provider;
  models: string;
  device: number;
  model: string;
  height: number;
  width: number;
  seconds: number;
}): Promise<number> {
  const worker = new Worker(new URL(import.meta.url), { workerData: job });
  const [frames] = await once(worker, 'message');
  await worker.terminate();
  return frames / job.seconds;
}

export async function gpusPart(provider: Provider, names: string[], options: PartOptions): Promise<void> {
  console.log('\n## Two GPUs of one host\n');
  options.table('model', 'size', 'one GPU, frames a second', 'two', 'factor');
  for (const model of names) {
    for (const height of options.sizes) {
      const width = options.widthOf(height);
      const job = { provider, models: options.models, model, height, width, seconds: options.seconds };
      const one = await saturated({ ...job, device: 0 });
      const both = await Promise.all([0, 1].map((device) => saturated({ ...job, device })));
      const two = both.reduce((a, b) => a + b);
      options.row([model, `${width}x${height}`, one.toFixed(0), two.toFixed(0), (two / one).toFixed(2)]);
    }
  }
}

if (!isMainThread && workerData?.seconds) {
  const { provider, models, device, model, width, height, seconds } = workerData;
  const load = new Load(await open(provider, models, { device }), model, width, height);
  await load.run(4, 1, 1000);
  parentPort!.postMessage(await load.run(4, seconds, 1000));
}
