import { flushCompileCache } from 'node:module';
import { availableParallelism } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { errorInfo } from '../contracts/errors.ts';
import type { FileCommand, FileEvent } from '../contracts/file.ts';
import type { RestorerCommand, RestorerEvent, RestorerFacts } from '../contracts/restorer.ts';
import { now } from '../contracts/time.ts';
import { createLogger } from '../telemetry/log.ts';
import { Admission } from './admission.ts';
import { hideSoftwareVulkan } from './device/vulkan-drivers.ts';
import { findDecoder, findEncoder, type HardwareOptions, openEncoder } from './find-hardware.ts';
import { Inference } from './inference.ts';
import type { InferenceOptions } from './inference-protocol.ts';
import { Outbox } from './outbox.ts';
import { Pipeline, type PipelineHost } from './pipeline.ts';
import { Rechoice } from './rechoice.ts';
import { RunningCost } from './running-cost.ts';

/** What the gateway passes as the one argument, as JSON. */
export interface RestorerOptions extends InferenceOptions, HardwareOptions {
  /** What an earlier restorer of this host found: taken to be still so until the models are open. */
  known?: RestorerFacts;
  /** Take streams only once the models are open, so that nothing but a provider can end this process before. */
  alone?: boolean;
  /** So long, ms, another height or model has to be the better one before a running stream gets it. */
  rechooseAfter?: number;
  log: { level: string; format: 'auto' | 'json' | 'pretty' };
}

const REPORT_EVERY = 1000;
/** An inference, or the encoding of a picture, that takes so long will never end: the driver hangs. */
const STUCK = 15_000;

/**
 * The restorer: decoder children, rings, inference and encoders of every stream on one accelerator. Forked by the
 * gateway; only access units, events and numbers leave it. It ends when its parent does.
 */
const options = JSON.parse(process.argv[2] ?? '{}') as RestorerOptions;
const logger = createLogger({ ...options.log, base: { part: 'restorer' } });

const pipelines = new Map<string, Pipeline>();
/** Commands of one stream run one after another: a start waits for the stop before it. */
const turns = new Map<string, Promise<void>>();

const outbox = new Outbox(
  (event, written) => {
    if (process.connected) process.send!(event, undefined, {}, written);
  },
  (stream, rendition) => pipelines.get(stream)?.requestKeyframe(rendition),
);

function send(event: RestorerEvent): void {
  outbox.send(event);
}

function fail(error: Error): void {
  logger.fatal({ error: errorInfo(error) }, 'the restorer cannot go on');
  // An exit in order would wait for the thread that hangs.
  process.kill(process.pid, 'SIGKILL');
}

/** A parent that goes while the models are opened and timed has nobody told yet: there is nothing to end in order. */
function abandon(): void {
  process.kill(process.pid, 'SIGKILL');
}
process.once('disconnect', abandon);
// The gateway decides when to stop: Ctrl-C, a terminal that closes and systemd signal all of its processes.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

hideSoftwareVulkan();
const inference = new Inference(options, fail, (provider) => send({ t: 'trying', provider }));

type Found = Pick<PipelineHost, 'facts' | 'encoder'>;

async function find(): Promise<Found> {
  const [accelerator, decoder, found] = await Promise.all([
    inference.ready,
    options.known?.decoder ?? findDecoder(options, logger),
    findEncoder(options, logger),
  ]);
  // By itself: what ends the process now is the encoder.
  if (found) send({ t: 'trying', encoder: found });
  const encoder = found && openEncoder(found, options, logger);
  const facts = { ...accelerator, ...(decoder && { decoder }), ...(encoder && { encoder: encoder.name }) };
  send({ t: 'opened', ...facts });
  return { facts, encoder };
}

const finding = find();
/** Streams do not wait until what restores files is loaded either. */
const files = finding.then(async ({ facts: accelerator }) => {
  const { FileWork } = await import('./file/file-work.ts');
  return new FileWork({ inference, accelerator, live: () => pipelines.size > 0 }, (event) => {
    if (process.connected) process.send!(event satisfies FileEvent);
  });
});

/** The picture does not wait for the models where it is known what they will be able to do. */
const early = options.alone ? undefined : options.known;
const { facts, encoder } = early ? { facts: early, encoder: undefined } : await finding;
const host: PipelineHost = {
  inference,
  facts,
  encoder,
  cost: new RunningCost(facts.speeds),
  admission: new Admission(() => inference.load),
  wantingBeside: (pipeline) =>
    [...pipelines.values()].filter((other) => other !== pipeline && other.wanting).length,
  encoderThreads: Math.min(4, Math.max(1, Math.floor(availableParallelism() / 2))),
  send,
  logger,
};

const rechoice = new Rechoice(host.admission, options.rechooseAfter);

/** Goes on with what was found: mostly what was known before. */
function learn({ facts, encoder }: Found): void {
  host.encoder = encoder;
  if (encoder) for (const pipeline of pipelines.values()) pipeline.encodeOn(encoder);
  goBy(facts);
}

function goBy(facts: RestorerFacts): void {
  const { provider, speeds, lanes } = host.facts;
  host.facts = facts;
  if (isDeepStrictEqual([facts.provider, facts.lanes, facts.speeds], [provider, lanes, speeds])) return;
  host.cost.restart(facts.speeds);
  for (const pipeline of pipelines.values()) pipeline.rechoose();
}

function pipelineOf({ stream, settings }: Extract<RestorerCommand, { t: 'start' }>): Pipeline {
  const pipeline = pipelines.get(stream) ?? new Pipeline(stream, settings, host);
  pipelines.set(stream, pipeline);
  return pipeline;
}

async function perform(command: Extract<RestorerCommand, { stream: string }>): Promise<void> {
  if (command.t === 'start') {
    const { session, source, settings, bitrate } = command;
    return pipelineOf(command).start(session, source, settings, bitrate);
  }
  const pipeline = pipelines.get(command.stream);
  if (!pipeline) return;
  switch (command.t) {
    case 'stop':
      pipelines.delete(command.stream);
      return pipeline.stop();
    case 'settings':
      return pipeline.update(command.settings);
    case 'watch':
      return pipeline.watch(command.renditions, command.opus, command.aac, command.watched);
    case 'keyframe':
      return pipeline.requestKeyframe(command.rendition);
    case 'bitrate':
      return pipeline.setBitrate(command.rendition, command.bps);
    case 'snapshot':
      return pipeline.snapshot(command.id, command.rendition);
  }
}

async function shutdown(): Promise<void> {
  await Promise.all([...pipelines.values()].map((pipeline) => pipeline.stop()));
  // A thread that opens models does not listen yet.
  if (!inference.open) return abandon();
  await (await files).stop();
  // Nor does that of another lane.
  if (inference.widening) return abandon();
  await inference.close();
  process.exit(0);
}

process.on('message', (command: RestorerCommand | FileCommand) => {
  if (command.t === 'shutdown') {
    void shutdown();
    return;
  }
  if (command.t === 'log') {
    logger.level = command.level;
    return;
  }
  if (command.t === 'file' || command.t === 'file-cancel') {
    void files.then((work) => work.perform(command));
    return;
  }
  const turn = (turns.get(command.stream) ?? Promise.resolve())
    .then(() => perform(command))
    .catch((error: unknown) =>
      logger.error({ stream: command.stream, error: errorInfo(error) }, `${command.t} failed`),
    );
  turns.set(command.stream, turn);
  void turn.then(() => {
    if (turns.get(command.stream) === turn) turns.delete(command.stream);
  });
});
process.off('disconnect', abandon);
process.once('disconnect', () => void shutdown());
setInterval(() => {
  if (inference.busyFor > STUCK) fail(new Error(`one inference has been running for ${STUCK / 1000} s`));
  send({ t: 'alive' });
  host.admission.tick(now());
  // Until the models are open nothing is restored, and nothing of it says what the host can do.
  if (inference.open)
    rechoice.tick(
      [...pipelines.values()].filter(({ showing }) => showing),
      now(),
    );
  for (const pipeline of pipelines.values()) {
    if (pipeline.encodingFor > STUCK) fail(new Error(`one picture has been encoding for ${STUCK / 1000} s`));
    pipeline.tick();
  }
}, REPORT_EVERY);

// By itself Node writes it at an exit in order.
flushCompileCache();
send({ t: 'ready' });
if (early) learn(await finding);
send({ t: 'trying', lane: true });
const lanes = await inference.widen();
send({ t: 'trying', lane: false });
if (lanes < host.facts.lanes) {
  logger.warn(
    { lanes, wanted: host.facts.lanes },
    'the GPU has no room for another lane, for want of memory mostly: it does with fewer',
  );
  goBy({ ...host.facts, lanes });
}
