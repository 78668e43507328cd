import { ClearwayError } from '../../contracts/errors.ts';
import type { FileSettings } from '../../contracts/file.ts';
import type { Inference } from '../inference.ts';
import { pictureBytes } from '../picture.ts';
import { FramePool } from '../pool.ts';
import { SceneCutDetector } from '../scene-cut.ts';
import type { FileAnswer, FileOrder } from './protocol.ts';
import { type Area, halves, samplesOf, type TilePlan, tilesOf } from './tiles.ts';

/** Pictures that are decoded, restored or encoded at a time, beside those in the window. */
const SPARE = 4;

let nextFile = 1;

export interface Finished {
  /** I420; to be given back. */
  picture: ArrayBuffer;
  pts: number;
}

/**
 * Restores a file's pictures in order: cuts the video into scenes, each picture into tiles, and asks the inference
 * thread for one step after another. A tile for which there is not enough memory is halved, and so are the later ones.
 */
export class PictureRestorer implements Disposable {
  readonly pool: FramePool;
  private readonly file = nextFile++;
  private readonly cuts = new SceneCutDetector();
  private readonly inference: Inference;
  private readonly model: string;
  private readonly settings: Pick<FileSettings, 'strength' | 'smoothing'>;
  private readonly width: number;
  private readonly height: number;
  private readonly future: number;
  private readonly tileSize: () => number;
  /** Times of the pictures in the window that are not restored yet, oldest first. */
  private readonly inside: number[] = [];
  private plan: TilePlan | undefined;
  /** Samples of the largest tile that there is memory for, as far as is known. */
  private most = Number.POSITIVE_INFINITY;

  /**
   * @param future pictures that the model looks ahead
   * @param tileSize samples a tile may have now, with its halo; asked before each picture
   */
  constructor(
    inference: Inference,
    model: string,
    future: number,
    settings: Pick<FileSettings, 'strength' | 'smoothing'>,
    { width, height }: { width: number; height: number },
    tileSize: () => number,
  ) {
    this.inference = inference;
    this.model = model;
    this.future = future;
    this.settings = settings;
    this.width = width;
    this.height = height;
    this.tileSize = tileSize;
    this.pool = new FramePool(pictureBytes(width, height), SPARE);
  }

  /** Takes the next picture, whose buffer is this restorer's from now on, and gives what is finished by it. */
  async *next(picture: ArrayBuffer, pts: number): AsyncGenerator<Finished, void, void> {
    const fresh = this.cuts.next(new Uint8Array(picture), this.width, this.height);
    if (fresh) yield* this.flush();
    await this.advance(picture, fresh);
    this.inside.push(pts);
    if (this.inside.length > this.future) yield await this.restore();
  }

  /** Gives the pictures that a model with lookahead still waits with: a scene's last one is followed by itself. */
  async *flush(): AsyncGenerator<Finished, void, void> {
    while (this.inside.length > 0) {
      await this.advance(undefined, false);
      yield await this.restore();
    }
  }

  /** Gives the file up at once; what is asked of it meanwhile rejects. */
  [Symbol.dispose](): void {
    this.inference.forgetFile(this.file);
  }

  private async advance(picture: ArrayBuffer | undefined, fresh: boolean): Promise<void> {
    const { file, model, width, height } = this;
    const { plan, recycled } = await this.ask(
      { t: 'file-advance', file, model, width, height, picture, fresh },
      picture ? [picture] : [],
    );
    this.plan = plan!;
    for (const buffer of recycled!) this.pool.give(buffer);
  }

  private async restore(): Promise<Finished> {
    for (const area of tilesOf(this.plan!, Math.min(this.most, this.tileSize()))) await this.tile(area);
    const out = this.pool.take();
    const answer = await this.ask({ t: 'file-collect', file: this.file, out }, [out]);
    return { picture: answer.out!, pts: this.inside.shift()! };
  }

  private async tile(area: Area): Promise<void> {
    const { file } = this;
    const { error } = await this.inference.step({ t: 'file-tile', file, area, ...this.settings });
    if (!error) return;
    const plan = this.plan!;
    // The reason cannot be told for certain: every provider has its own words for too little memory, some none.
    const parts = halves(area, plan);
    if (!parts) throw failure(error);
    this.most = Math.min(this.most, Math.max(...parts.map((part) => samplesOf(part, plan))));
    for (const part of parts) await this.tile(part);
  }

  private async ask(order: FileOrder, transfer: ArrayBuffer[]): Promise<FileAnswer> {
    const answer = await this.inference.step(order, transfer);
    if (answer.error) throw failure(answer.error);
    return answer;
  }
}

function failure({ code, message, retryable }: NonNullable<FileAnswer['error']>): ClearwayError {
  return new ClearwayError(code, message, { retryable });
}
