/**
 * What raw pictures cost the thread that reads them from ffmpeg: `npm run bench:decode -- [--seconds 10]`. 1080p from a
 * generator, so that the children have little to do, read in the restorer's main thread and in a decoder thread.
 * CPU time of the main thread, not wall time: what else runs on the host stretches it little.
 */
import { Session } from 'node:inspector/promises';
import { parseArgs } from 'node:util';
import { type DecoderHandlers, spawnDecoder } from '../../src/codec/decoder-process.ts';
import { openDecoder } from '../../src/codec/decoders.ts';
import { FramePool } from '../../src/restore/pool.ts';
import { silentLogger } from '../../src/telemetry/log.ts';
import { cpuSecondsFine, describeHost } from './host.ts';

const { values } = parseArgs({ options: { seconds: { type: 'string', default: '10' } } });
const SECONDS = Number(values.seconds);
const SOURCES = 2;
/** Frames a second each source is asked for. */
const RATE = 50;
const BYTES = (1920 * 1080 * 3) / 2;
const FPS = 25;
const SPEC = {
  url: `lavfi:color=gray:size=1920x1080:rate=${RATE}`,
  transport: 'auto',
  audio: false,
  stallTimeout: 20,
} as const;

function row(...cells: (string | number)[]): void {
  process.stdout.write(`| ${cells.join(' | ')} |\n`);
}

async function measure(name: string, open: (handlers: DecoderHandlers) => AsyncDisposable): Promise<void> {
  await using sources = new AsyncDisposableStack();
  const pool = new FramePool(BYTES);
  let pictures = 0;
  const warm = Promise.withResolvers<void>();
  for (let source = 0; source < SOURCES; source++) {
    sources.use(
      open({
        allocate: () => new Uint8Array(pool.take()),
        frame({ data }) {
          pool.give(data.buffer as ArrayBuffer);
          if (++pictures === RATE) warm.resolve();
        },
        dropped() {},
        opened() {},
        ended: ({ error }) => warm.reject(error),
      }),
    );
  }
  await warm.promise;
  using session = new Profiler();
  await session.start();
  const before = { pictures, main: mainCpu(), whole: process.cpuUsage() };
  await new Promise((resolve) => setTimeout(resolve, SECONDS * 1000));
  const count = pictures - before.pictures;
  const { user, system } = process.cpuUsage(before.whole);
  const main = ((mainCpu() - before.main) * 1000) / count;
  row(
    name,
    count,
    main.toFixed(2),
    ((user + system) / 1000 / count).toFixed(2),
    (BYTES / main / 1e6).toFixed(1),
    (1000 / FPS / main).toFixed(0),
    await session.heaviest(),
  );
}

function mainCpu(): number {
  return cpuSecondsFine(process.pid, process.pid);
}

/** V8's sampling profiler on this thread. */
class Profiler implements Disposable {
  private readonly session = new Session();

  async start(): Promise<void> {
    this.session.connect();
    await this.session.post('Profiler.enable');
    await this.session.post('Profiler.start');
  }

  /** The functions that were busy most of the time that was not idle, callees not included. */
  async heaviest(count = 4): Promise<string> {
    const { profile } = await this.session.post('Profiler.stop');
    // Not the profiler's own work.
    const names = new Map(
      profile.nodes
        .filter(
          ({ callFrame }) => callFrame.functionName !== '(idle)' && !/^node:inspector/.test(callFrame.url),
        )
        .map(({ id, callFrame }) => [id, callFrame.functionName || 'anonymous']),
    );
    const took = new Map<string, number>();
    for (const [index, id] of (profile.samples ?? []).entries()) {
      const name = names.get(id);
      if (name) took.set(name, (took.get(name) ?? 0) + profile.timeDeltas![index]!);
    }
    const busy = [...took.values()].reduce((sum, time) => sum + time, 0);
    return [...took]
      .sort(([, a], [, b]) => b - a)
      .slice(0, count)
      .map(([name, time]) => `${name} ${((100 * time) / busy).toFixed(0)} %`)
      .join(', ');
  }

  [Symbol.dispose](): void {
    this.session.disconnect();
  }
}

process.stdout.write(`${new Date().toISOString().slice(0, 16)}Z, ${describeHost()}\n\n`);
row(
  'read in',
  'pictures',
  'main thread, ms a picture',
  'whole process, ms a picture',
  'GB/s a main thread takes at most',
  `1080p${FPS} streams`,
  'busy in',
);
row(...new Array<string>(7).fill('---'));
await measure('main thread', (handlers) => spawnDecoder(SPEC, {}, handlers));
await measure('decoder thread', (handlers) => openDecoder(SPEC, { logger: silentLogger }, handlers));
