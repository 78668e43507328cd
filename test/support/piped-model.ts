import { execFile } from 'node:child_process';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { FIXTURE_MODELS } from './restoring.ts';

export interface PipedModel {
  models: string;
  /** From now on whoever opens the network waits for it. */
  pipe(): Promise<void>;
  /** Gives it to the one who waits, or something that is no network. */
  open(network?: Uint8Array): Promise<void>;
}

/** A models directory whose one network is opened once `open` is called: a pipe stands in its place. */
export async function pipedModel(directory: string, name = 'blend'): Promise<PipedModel> {
  const models = join(directory, 'models');
  await cp(join(FIXTURE_MODELS, name), join(models, name), { recursive: true });
  const network = join(models, name, 'weights.onnx');
  const weights = await readFile(network);
  return {
    models,
    async pipe() {
      await rm(network);
      await promisify(execFile)('mkfifo', [network]);
    },
    open: (given = weights) => writeFile(network, given),
  };
}
