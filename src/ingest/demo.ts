import { mkdtemp } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ffmpegArguments, ffmpegPath } from '../codec/ffmpeg.ts';
import { type FfmpegChild, spawnFfmpeg } from '../codec/ffmpeg-child.ts';
import { readLines } from '../codec/lines.ts';
import type { Logger } from '../telemetry/log.ts';
import { redact } from '../telemetry/redact.ts';
import { type DemoClip, renderDemoClip } from './demo-clip.ts';

export interface DemoCamera {
  /** Begins to push, and goes on until `stop`, whatever happens to the connection. Never rejects. */
  start(): Promise<void>;
  /** Resolves when nothing of it runs any more. */
  stop(): Promise<void>;
}

export interface DemoCameraOptions {
  /** `rtmp://host:port/live/<name>?key=...` */
  pushUrl: string;
  logger: Logger;
  /** Where the rendered clip is kept; default: the user's cache directory. */
  directory?: string;
}

/** Changes when the scene does, so that an old rendering is not taken for it. */
const SCENE = 'demo-1';

/** Between two attempts to push, ms. */
const RETRY = 1000;

/**
 * The built-in camera: a scene that Clearway draws itself, degraded as a cheap camera degrades it at night, rendered
 * once (some seconds of one core) and then pushed over RTMP in real time for next to no CPU.
 */
export function createDemoCamera({ pushUrl, logger, directory }: DemoCameraOptions): DemoCamera {
  const stopped = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let child: FfmpegChild | undefined;

  async function run(): Promise<void> {
    while (!stopped.signal.aborted) {
      try {
        await push(await cachedClip(directory));
      } catch (error) {
        logger.warn({ err: error }, 'the demo camera cannot run');
      }
      await delay(RETRY, undefined, { signal: stopped.signal }).catch(() => {});
    }
  }

  async function push({ camera }: DemoClip): Promise<void> {
    if (stopped.signal.aborted) return;
    child = spawnFfmpeg(
      ffmpegPath(),
      ffmpegArguments(
        ['-nostdin', '-hide_banner', '-v', 'error'],
        [{ url: camera, options: ['-re', '-stream_loop', '-1'] }],
        [{ url: pushUrl, options: ['-c', 'copy', '-f', 'flv', '-flvflags', 'no_duration_filesize'] }],
      ),
    );
    readLines(child.stderr, (line) => logger.debug(redact(line)));
    await child.closed;
    child = undefined;
  }

  return {
    start() {
      running = run();
      return Promise.resolve();
    },
    async stop() {
      stopped.abort();
      await child?.stop();
      await running;
    },
  };
}

/** The clip from the cache; where no cache can be written, from a directory of its own. */
async function cachedClip(directory: string | undefined): Promise<DemoClip> {
  if (directory !== undefined) return renderDemoClip(directory);
  const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache');
  try {
    return await renderDemoClip(join(cache, 'clearway', SCENE));
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return renderDemoClip(await mkdtemp(join(tmpdir(), 'clearway-demo-')));
  }
}
