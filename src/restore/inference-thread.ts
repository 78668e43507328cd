import { existsSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import type { ModelInfo } from '../contracts/control.ts';
import { ClearwayError, errorInfo } from '../contracts/errors.ts';
import type { ModelSpeed } from '../contracts/restorer.ts';
import { now } from '../contracts/time.ts';
import { measureSpeed } from './calibrate.ts';
import { FileSteps } from './file/steps.ts';
import { type GraphOptions, type Provider, RestorerGraph, SmootherGraph } from './graph.ts';
import type {
  Accelerator,
  InferenceCommand,
  InferenceEvent,
  InferenceOptions,
} from './inference-protocol.ts';
import { listModels, readModel } from './manifest.ts';
import { Restoration } from './restoration.ts';

/** The thread that owns one accelerator: every graph, every stream's windows, one run at a time. */
const port = parentPort!;
const { models: directory, provider: wanted, threads, known } = workerData as InferenceOptions;
const restorers = new Map<string, RestorerGraph>();
const streams = new Map<string, Restoration>();
let smoother: SmootherGraph | undefined;
const files = new FileSteps(
  (model) => restorers.get(model),
  () => smoother,
);

function post(event: InferenceEvent, transfer: ArrayBuffer[] = []): void {
  port.postMessage(event, transfer);
}

/** Providers worth trying here, the likely fastest first. A GPU provider without a GPU driver is not tried. */
function candidates(): Provider[] {
  if (wanted !== 'auto') return [wanted];
  const gpu = existsSync('/dev/nvidia0') || existsSync('/dev/dri/renderD128');
  return gpu ? ['cuda', 'webgpu', 'cpu'] : ['cpu'];
}

async function openAll(options: GraphOptions): Promise<Accelerator> {
  const infos = new Map<string, ModelInfo>();
  const speeds: Record<string, ModelSpeed> = {};
  for (const name of await listModels(directory)) {
    const info: ModelInfo = {
      name,
      kind: 'restorer',
      description: '',
      version: '',
      window: { past: 0, future: 0 },
    };
    try {
      const files = await readModel(directory, name);
      info.kind = files.manifest.kind;
      info.description = files.manifest.description;
      info.version = files.manifest.version;
      if (files.manifest.kind === 'restorer') {
        info.window = files.manifest.window;
        restorers.set(name, await RestorerGraph.open(files, options));
      } else if (name === 'smoother') smoother = await SmootherGraph.open(files, options);
    } catch (error) {
      info.error = errorInfo(error).message;
    }
    infos.set(name, info);
  }
  for (const [name, graph] of restorers) {
    const before = known?.provider === options.provider ? known.speeds[name] : undefined;
    try {
      speeds[name] = before ?? (await measureSpeed(graph, smoother));
    } catch (error) {
      // One model that cannot be timed (too large for this accelerator, say) leaves the others usable.
      infos.get(name)!.error = errorInfo(error).message;
      restorers.delete(name);
      await graph.release();
    }
  }
  return { provider: options.provider, models: [...infos.values()], speeds };
}

async function openOnBest(): Promise<Accelerator> {
  const tried = candidates();
  for (const provider of tried) {
    const accelerator = await openAll({ provider, threads });
    const last = provider === tried.at(-1);
    if (restorers.size > 0 || last) return accelerator;
    for (const graph of restorers.values()) await graph.release();
    await smoother?.release();
    restorers.clear();
    smoother = undefined;
  }
  throw new ClearwayError('CLEARWAY_INFERENCE_FAILED', 'No inference provider could be opened.');
}

async function onFrame(command: Extract<InferenceCommand, { t: 'frame' }>): Promise<void> {
  const { id, stream, request, picture, out, source } = command;
  const restoration = streams.get(stream) ?? new Restoration();
  streams.set(stream, restoration);
  const began = now();
  const recycled: ArrayBuffer[] = [];
  const graph = restorers.get(command.model);
  const done = { t: 'done', id, stream, began, out, source, recycled } as const;
  try {
    const timings = await restoration.next(picture, request, graph, smoother, new Uint8Array(out), recycled);
    if (source) restoration.copySource(new Uint8Array(source));
    post({ ...done, timings, pending: restoration.pending }, buffers(out, source, recycled));
  } catch (error) {
    // The picture goes on unrestored; what the window held is not trusted any more.
    restoration.copySource(new Uint8Array(out));
    if (source) restoration.copySource(new Uint8Array(source));
    restoration.clear(recycled);
    const failure = new ClearwayError(
      'CLEARWAY_INFERENCE_FAILED',
      `The network failed on a frame: ${(error as Error).message}`,
      {
        retryable: true,
      },
    );
    post(
      { ...done, timings: { restore: 0, smooth: 0, cut: true }, pending: 0, error: errorInfo(failure) },
      buffers(out, source, recycled),
    );
  }
}

function buffers(out: ArrayBuffer, source: ArrayBuffer | undefined, recycled: ArrayBuffer[]): ArrayBuffer[] {
  return [out, ...(source ? [source] : []), ...recycled];
}

async function perform(command: InferenceCommand): Promise<void> {
  if (command.t === 'frame') return onFrame(command);
  if (command.t === 'file') {
    const { answer, transfer } = await files.perform(command.order);
    post({ t: 'file-answer', id: command.id, ...answer }, transfer);
    return;
  }
  if (command.t === 'forget') {
    streams.delete(command.stream);
    return;
  }
  for (const graph of restorers.values()) await graph.release();
  await smoother?.release();
  port.close();
}

let queue: Promise<void> = openOnBest().then((accelerator) => post({ t: 'ready', accelerator }));
port.on('message', (command: InferenceCommand) => {
  queue = queue.then(() => perform(command));
});
