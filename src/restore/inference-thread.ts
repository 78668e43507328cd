import { flushCompileCache } from 'node:module';
import { parentPort, workerData } from 'node:worker_threads';
import { ClearwayError, errorInfo } from '../contracts/errors.ts';
import { now } from '../contracts/time.ts';
import type { Device } from './device/device.ts';
import { FileSteps } from './file/steps.ts';
import type { InferenceCommand, InferenceEvent, InferenceOptions } from './inference-protocol.ts';
import { ModelHost } from './model-host.ts';
import { buffersOf } from './packed-windows.ts';
import { candidates, openDevice } from './providers.ts';
import { Restoration } from './restoration.ts';

/** The thread of one lane: graphs of its own of every model, its streams' windows, one run at a time. */
const port = parentPort!;
const options = workerData as InferenceOptions;
const streams = new Map<string, Restoration>();

function post(event: InferenceEvent, transfer: ArrayBuffer[] = []): void {
  port.postMessage(event, transfer);
}

const host = await ModelHost.open({
  directory: options.models,
  candidates: options.only ? [options.only] : candidates(options.provider, options.avoid),
  open: (provider) => openDevice(provider, { threads: options.threads, device: options.device ?? 0 }),
  trying: (provider) => post({ t: 'trying', provider }),
  known: options.known,
});
const files = new FileSteps((model) => host.ready.get(model));

async function onFrame(command: Extract<InferenceCommand, { t: 'frame' }>): Promise<void> {
  const { id, stream, request, picture, out, source } = command;
  const restoration = streams.get(stream) ?? new Restoration();
  streams.set(stream, restoration);
  const began = now();
  const recycled: ArrayBuffer[] = [];
  const { graph, smoother } = host.ready.get(command.model) ?? {};
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
    if (graph) await checkAlive(graph.device);
  }
}

/** Throws, which ends this process, when the device itself is gone: the next one looks for what is left. */
async function checkAlive(device: Device): Promise<void> {
  const tensor = await device.upload(new Uint8Array(16), 'uint8', [1, 1, 4, 4]);
  await device.download(tensor, new Uint8Array(16));
  tensor.release();
}

function buffers(out: ArrayBuffer, source: ArrayBuffer | undefined, recycled: ArrayBuffer[]): ArrayBuffer[] {
  return [out, ...(source ? [source] : []), ...recycled];
}

async function onHandOver({ id, stream }: Extract<InferenceCommand, { t: 'hand-over' }>): Promise<void> {
  const windows = await streams
    .get(stream)
    ?.pack()
    .catch(() => undefined);
  streams.delete(stream);
  post({ t: 'handed-over', id, windows }, windows && buffersOf(windows));
}

async function perform(command: InferenceCommand): Promise<void> {
  if (command.t === 'frame') return onFrame(command);
  if (command.t === 'file') {
    const { answer, transfer } = await files.perform(command.order);
    post({ t: 'file-answer', id: command.id, ...answer }, transfer);
    const device = files.deviceOf(command.order.file);
    if (answer.error && device) await checkAlive(device);
    return;
  }
  if (command.t === 'hand-over') return onHandOver(command);
  if (command.t === 'take-over') {
    const { stream, windows } = command;
    streams.set(stream, await Restoration.unpack(windows, host.ready.get(windows.model)?.graph));
    return;
  }
  if (command.t === 'forget-file') return files.forget(command.file);
  if (command.t === 'forget') {
    streams.get(command.stream)?.clear([]);
    streams.delete(command.stream);
    return;
  }
  for (const stream of streams.values()) stream.clear([]);
  await host.release();
  port.close();
}

flushCompileCache();
const { provider, infos, speeds, providers } = host;
post({ t: 'ready', accelerator: { provider, models: [...infos.values()], speeds, providers } });
let queue = Promise.resolve();
port.on('message', (command: InferenceCommand) => {
  queue = queue.then(() => perform(command));
});
