import { stat } from 'node:fs/promises';
import { FileDecoder } from '../../codec/file/decoder.ts';
import { FileEncoder, refuseContainer } from '../../codec/file/encoder.ts';
import { probeVideo, type VideoProbe } from '../../codec/file/probe.ts';
import { even, resultSize } from '../../codec/file/size.ts';
import type { ModelInfo } from '../../contracts/control.ts';
import { ClearwayError } from '../../contracts/errors.ts';
import type { FileProgress, FileRequest, FileResult } from '../../contracts/file.ts';
import type { Accelerator } from '../../contracts/restorer.ts';
import { estimate } from '../estimate.ts';
import type { Inference } from '../inference.ts';
import { pictureBytes } from '../picture.ts';
import { FramePool } from '../pool.ts';
import { Pace } from './pace.ts';
import { type Finished, PictureRestorer } from './picture-restorer.ts';

/** A file may take its time: the heaviest model that restores so many of its pictures a second is `auto`. */
const AUTO_FPS = 5;
/** Samples of a tile at most, with its halo: a 1080p picture goes in one. */
const LARGEST_TILE = 2_200_000;
/** ... and at least, as far as the time a tile takes decides: most of a smaller one would be halo. */
const SMALLEST_TILE = 160_000;
/** What one tile may take where a live frame may have to wait for it, and where none is, ms. */
const LIVE_WAIT = 20;
const LONGEST = 500;

export interface RestoringParts {
  inference: Inference;
  accelerator: Accelerator;
  /** Whether there are streams whose frames must not wait. */
  live(): boolean;
}

export interface RestoringOptions {
  signal: AbortSignal;
  onProgress(progress: FileProgress): void;
}

/**
 * Restores a whole video file: decodes it in one ffmpeg child, restores picture by picture, encodes in another. At most
 * a handful of pictures are held, since each side waits for the next. The result is there when this resolves; when it
 * rejects (a ClearwayError, or the signal's reason) nothing of it is left.
 */
export async function restoreFile(
  { input, output, settings }: FileRequest,
  { inference, accelerator, live }: RestoringParts,
  { signal, onProgress }: RestoringOptions,
): Promise<FileResult> {
  onProgress({ stage: 'probing', frames: 0, total: undefined, fps: 0, left: undefined });
  refuseContainer(output, settings.codec);
  await refuseMissing(input);
  const probe = await probeVideo(input, signal);
  const size = resultSize(probe.video, settings.height);
  const given = { width: even(probe.video.width), height: even(probe.video.height) };
  const model = settings.strength === 0 ? 'none' : chooseModel(settings.model, accelerator, given);
  const pace = new Pace(probe.video.frames, onProgress);
  const warnings = noted(probe);
  try {
    using restorer = model === 'none' ? undefined : openRestorer(model, settings, given);
    const pool = restorer?.pool ?? new FramePool(pictureBytes(given.width, given.height));
    await using decoder = new FileDecoder(input, probe, { ...given, allocate: () => pool.take() });
    await using encoder = new LazyEncoder(
      () => new FileEncoder({ input, output, probe, settings, given, size }),
    );
    using _ = onAbort(signal, () => {
      restorer?.[Symbol.dispose]();
      void decoder.stop();
      void encoder.stop();
    });
    let [first, last] = [Number.NaN, Number.NaN];
    const keep = async ({ picture, pts }: Finished) => {
      if (Number.isNaN(first)) first = pts;
      last = pts;
      await encoder.write(picture, pts, () => pool.give(picture));
      pace.frame();
    };
    pace.enter('restoring');
    for await (const { data, pts } of ahead(decoder.pictures())) {
      signal.throwIfAborted();
      if (!restorer) await keep({ picture: data, pts });
      else for await (const finished of restorer.next(data, pts)) await keep(finished);
    }
    signal.throwIfAborted();
    if (restorer) for await (const finished of restorer.flush()) await keep(finished);
    if (pace.frames === 0) {
      throw new ClearwayError(
        'CLEARWAY_SOURCE_NOT_VIDEO',
        'The file cannot be read as video: none of its pictures could be decoded.',
        { status: 422 },
      );
    }
    pace.enter('finishing');
    await encoder.finish();
    if (await decoder.damaged) warnings.push(damage(pace.frames, probe));
    const [numerator, denominator] = probe.video.timeBase;
    const step = probe.video.fps ? 1 / probe.video.fps : 0;
    return {
      frames: pace.frames,
      duration: ((last - first) * numerator) / denominator + step,
      ...size,
      model,
      provider: model === 'none' ? 'none' : (infoOf(model)?.provider ?? accelerator.provider),
      warnings: [...warnings, ...encoder.warnings],
    };
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }

  function infoOf(name: string): ModelInfo | undefined {
    return accelerator.models.find((info) => info.name === name);
  }

  function openRestorer(name: string, how: FileRequest['settings'], picture: Size): PictureRestorer {
    const { future } = infoOf(name)!.window;
    const speed = accelerator.speeds[name]!;
    const within = (ms: number) => {
      const samples = ((ms - speed.fixed) / speed.perMegapixel) * 1e6;
      return Math.min(LARGEST_TILE, Math.max(SMALLEST_TILE, samples));
    };
    return new PictureRestorer(inference, name, future, how, picture, () =>
      within(live() ? LIVE_WAIT : LONGEST),
    );
  }
}

interface Size {
  width: number;
  height: number;
}

/** An encoder that is started by the first picture: without one there is nothing to encode. */
class LazyEncoder implements AsyncDisposable {
  private readonly open: () => FileEncoder;
  private encoder: FileEncoder | undefined;
  private writing: Promise<void> = Promise.resolve();

  constructor(open: () => FileEncoder) {
    this.open = open;
  }

  get warnings(): string[] {
    return this.encoder?.warnings ?? [];
  }

  /** Resolves when the picture before this one is written, so that one is encoded while the next is restored. */
  async write(picture: ArrayBuffer, pts: number, written: () => void): Promise<void> {
    await this.writing;
    this.encoder ??= this.open();
    this.writing = this.encoder.write(picture, pts).then(written);
    // Told to whoever awaits the next write, or the end.
    this.writing.catch(() => {});
  }

  async finish(): Promise<void> {
    await this.writing;
    await this.encoder?.finish();
  }

  async stop(): Promise<void> {
    await this.encoder?.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.encoder?.[Symbol.asyncDispose]();
  }
}

/** Asks for the next item while the last is worked on. */
async function* ahead<T>(items: AsyncGenerator<T, void, void>): AsyncGenerator<T, void, void> {
  let next = items.next();
  next.catch(() => {});
  for (;;) {
    const { done, value } = await next;
    if (done) return;
    next = items.next();
    next.catch(() => {});
    yield value;
  }
}

function onAbort(signal: AbortSignal, stop: () => void): Disposable {
  signal.addEventListener('abort', stop, { once: true });
  return { [Symbol.dispose]: () => signal.removeEventListener('abort', stop) };
}

async function refuseMissing(input: string): Promise<void> {
  const found = await stat(input).catch(() => undefined);
  if (found?.isFile()) return;
  throw new ClearwayError('CLEARWAY_NOT_FOUND', `There is no file ${input}.`, { status: 404 });
}

function chooseModel(wanted: string, { speeds, models, provider }: Accelerator, size: Size): string {
  if (wanted === 'none' || speeds[wanted]) return wanted;
  if (wanted === 'auto') {
    const heaviest = Object.entries(speeds).sort(([, a], [, b]) => b.perMegapixel - a.perMegapixel);
    const quick = heaviest.find(([, speed]) => estimate(speed, size.width, size.height) <= 1000 / AUTO_FPS);
    const [name] = quick ?? heaviest.at(-1) ?? [];
    if (name) return name;
  }
  const info = models.find(({ name }) => name === wanted);
  throw new ClearwayError(
    info?.error ? 'CLEARWAY_MODEL_INVALID' : 'CLEARWAY_MODEL_NOT_FOUND',
    info?.error ?? `There is no restoring model ${wanted} that runs on ${provider}: see \`clearway models\`.`,
    { status: 422 },
  );
}

/** What the pictures lose on their way, before anything is known of the other tracks. */
function noted({ video }: VideoProbe): string[] {
  const { width, height, pixelFormat, interlaced } = video;
  const warnings: string[] = [];
  if (!/^(yuvj?420p|gray|nv12|nv21)$/.test(pixelFormat)) {
    warnings.push(`The pictures were converted from ${pixelFormat} to 8-bit 4:2:0, which the models speak.`);
  }
  if (interlaced) warnings.push('The video was interlaced; each pair of fields is one whole picture now.');
  if (even(width) !== width || even(height) !== height) {
    warnings.push(
      `The picture was cropped from ${width}x${height} to ${even(width)}x${even(height)}: its sides must be even.`,
    );
  }
  return warnings;
}

function damage(frames: number, { video }: VideoProbe): string {
  const of = video.frames !== undefined && video.frames > frames ? ` of about ${video.frames}` : '';
  return `The file is damaged or cut off: the ${frames}${of} pictures that could be read were restored.`;
}
