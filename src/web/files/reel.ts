import { ApiError, request } from '../core/api.ts';
import type { Pair, Side } from './pair-picture.ts';

/** Bytes of decoded pictures that are kept. */
const BUDGET = 256 * 2 ** 20;
const LEAST = 8;
const SIDES: readonly Side[] = ['source', 'restored'];

interface Picture {
  frame: number;
  /** Still being fetched. */
  under: boolean;
  abort: AbortController;
  bitmap: Promise<ImageBitmap>;
}

/**
 * Single frames of a job from `GET /restore/jobs/:id/frames/:n`, whatever the codec of either file. Decoded ones are
 * kept within a budget, the least recently wanted go first.
 */
export class Reel {
  readonly count: number;
  readonly #url: string;
  readonly #keep: number;
  /** By `n/side`, least recently wanted first. */
  readonly #pictures = new Map<string, Picture>();
  #shown = -1;

  /** `url`: the job's frames; `pixels` of one picture. */
  constructor(url: string, count: number, pixels: number) {
    this.#url = url;
    this.count = count;
    this.#keep = Math.max(LEAST, Math.floor(BUDGET / (4 * pixels)));
  }

  /**
   * Both pictures of frame `n`, and `soon` those of the frames that are likely to be wanted next. What is still under
   * way for any other frame is given up. Rejects with ApiError.
   */
  async pair(n: number, soon: readonly number[] = []): Promise<Pair> {
    for (const [key, { under, frame }] of this.#pictures) {
      if (under && frame !== n && !soon.includes(frame)) this.#drop(key);
    }
    const wanted = SIDES.map((side) => this.#get(n, side));
    for (const frame of soon.slice(0, Math.floor(this.#keep / 4))) {
      if (frame < 0 || frame >= this.count) continue;
      for (const side of SIDES) this.#get(frame, side).catch(() => undefined);
    }
    const [source, restored] = (await Promise.all(wanted)) as [ImageBitmap, ImageBitmap];
    this.#shown = n;
    return { source, restored };
  }

  close(): void {
    for (const key of [...this.#pictures.keys()]) this.#drop(key);
  }

  #get(n: number, side: Side): Promise<ImageBitmap> {
    const key = `${n}/${side}`;
    const known = this.#pictures.get(key);
    const picture = known ?? this.#fetch(n, side);
    this.#pictures.delete(key);
    this.#pictures.set(key, picture);
    if (known === undefined) {
      picture.bitmap.then(
        () => {
          picture.under = false;
        },
        // A failure is not kept: the next wish asks again.
        () => this.#pictures.get(key) === picture && this.#pictures.delete(key),
      );
      this.#evict();
    }
    return picture.bitmap;
  }

  #fetch(frame: number, side: Side): Picture {
    const abort = new AbortController();
    const bitmap = load(`${this.#url}/${frame}?rendition=${side}`, abort.signal);
    return { frame, under: true, abort, bitmap };
  }

  #evict(): void {
    for (const [key, { frame }] of this.#pictures) {
      if (this.#pictures.size <= this.#keep) return;
      if (frame !== this.#shown) this.#drop(key);
    }
  }

  #drop(key: string): void {
    const picture = this.#pictures.get(key);
    this.#pictures.delete(key);
    picture?.abort.abort();
    picture?.bitmap.then((bitmap) => bitmap.close()).catch(() => undefined);
  }
}

/** Waits where the gateway asks to, as when many frames are fetched at once. */
async function load(url: string, signal: AbortSignal): Promise<ImageBitmap> {
  for (;;) {
    try {
      const response = await request(url, { signal });
      return await createImageBitmap(await response.blob());
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 429) throw error;
      await new Promise((resolve) => setTimeout(resolve, (error.retryAfter ?? 1) * 1000));
    }
  }
}
