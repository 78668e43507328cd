import { ClearwayError, errorInfo } from '../../contracts/errors.ts';
import type { RestorerGraph, SmootherGraph } from '../graph.ts';
import type { FileAnswer, FileOrder } from './protocol.ts';
import { TiledRestoration } from './tiled-restoration.ts';
import type { TilePlan } from './tiles.ts';

type Answer = Omit<FileAnswer, 't' | 'id'>;

/** Work on files in the inference thread, a step at a time. */
export class FileSteps {
  private readonly files = new Map<number, { restoration: TiledRestoration; plan: TilePlan }>();
  private readonly restorer: (model: string) => RestorerGraph | undefined;
  private readonly smoother: () => SmootherGraph | undefined;

  constructor(
    restorer: (model: string) => RestorerGraph | undefined,
    smoother: () => SmootherGraph | undefined,
  ) {
    this.restorer = restorer;
    this.smoother = smoother;
  }

  /** Never rejects: what fails is in the answer, and can be asked for again. */
  async perform(order: FileOrder): Promise<{ answer: Answer; transfer: ArrayBuffer[] }> {
    try {
      return await this.answer(order);
    } catch (cause) {
      const error =
        cause instanceof ClearwayError
          ? cause
          : new ClearwayError(
              'CLEARWAY_INFERENCE_FAILED',
              `The network failed on a picture: ${(cause as Error).message}`,
              { retryable: true, cause },
            );
      return { answer: { error: errorInfo(error) }, transfer: [] };
    }
  }

  private async answer(order: FileOrder): Promise<{ answer: Answer; transfer: ArrayBuffer[] }> {
    switch (order.t) {
      case 'file-advance': {
        const { restoration, plan } = this.files.get(order.file) ?? (await this.open(order));
        const recycled: ArrayBuffer[] = [];
        restoration.advance(order.picture, order.fresh, recycled);
        return { answer: { plan, recycled }, transfer: recycled };
      }
      case 'file-tile': {
        const { restoration, plan } = this.files.get(order.file)!;
        await restoration.tile(order.area, plan, order.strength, order.smoothing);
        return { answer: {}, transfer: [] };
      }
      case 'file-collect': {
        this.files.get(order.file)!.restoration.collect(new Uint8Array(order.out));
        return { answer: { out: order.out }, transfer: [order.out] };
      }
      case 'file-close':
        this.files.delete(order.file);
        return { answer: {}, transfer: [] };
    }
  }

  private async open({ file, model, width, height }: Extract<FileOrder, { t: 'file-advance' }>) {
    const graph = this.restorer(model);
    if (!graph) throw new ClearwayError('CLEARWAY_MODEL_NOT_FOUND', `There is no usable model ${model}.`);
    const restoration = new TiledRestoration(graph, this.smoother(), width, height);
    const opened = { restoration, plan: await restoration.plan() };
    this.files.set(file, opened);
    return opened;
  }
}
