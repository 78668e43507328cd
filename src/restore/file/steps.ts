import { ClearwayError, errorInfo } from '../../contracts/errors.ts';
import type { Device } from '../device/device.ts';
import type { RestorerGraph, SmootherGraph } from '../graph.ts';
import type { FileAnswer, FileOrder } from './protocol.ts';
import { TiledRestoration } from './tiled-restoration.ts';
import type { TilePlan } from './tiles.ts';

type Answer = Omit<FileAnswer, 't' | 'id'>;

/** A restorer with the smoother that runs beside it. */
interface Models {
  graph: RestorerGraph;
  smoother: SmootherGraph | undefined;
}

interface OpenFile {
  restoration: TiledRestoration;
  plan: TilePlan;
  device: Device;
}

/** Work on files in the inference thread, a step at a time. */
export class FileSteps {
  private readonly files = new Map<number, OpenFile>();
  private readonly models: (name: string) => Models | undefined;

  constructor(models: (name: string) => Models | undefined) {
    this.models = models;
  }

  /** What a file's networks run on, once it has any. */
  deviceOf(file: number): Device | undefined {
    return this.files.get(file)?.device;
  }

  forget(file: number): void {
    this.files.delete(file);
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
    }
  }

  private async open({ file, model, width, height }: Extract<FileOrder, { t: 'file-advance' }>) {
    const models = this.models(model);
    if (!models) throw new ClearwayError('CLEARWAY_MODEL_NOT_FOUND', `There is no usable model ${model}.`);
    const { graph, smoother } = models;
    const restoration = new TiledRestoration(graph, smoother, width, height);
    const opened = { restoration, plan: await restoration.plan(), device: graph.device };
    this.files.set(file, opened);
    return opened;
  }
}
