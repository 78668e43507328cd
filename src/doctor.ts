import { access, constants, realpath, statfs } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { dirname, resolve } from 'node:path';
import { gatewayUptime } from './cli/running-gateway.ts';
import { checkFfmpeg, ffmpegPath } from './codec/ffmpeg.ts';
import { tryHardwareDecoders } from './codec/hardware-decoder.ts';
import { tryHardwareEncoders } from './codec/hardware-encoder.ts';
import { type Config, configSchema } from './config/schema.ts';
import { ConfigStore } from './config/store.ts';
import { errorInfo } from './contracts/errors.ts';
import { PROVIDERS, type RestorerFacts } from './contracts/restorer.ts';
import { describeJobs } from './jobs/check.ts';
import { estimate } from './restore/estimate.ts';
import type { RestorerOptions } from './restore/restorer-process.ts';
import { ASSUMED_FPS, chooseRestoration, HEIGHTS } from './restore/working-height.ts';
import { ANSWER_WITHIN, askRestorer } from './streams/ask-restorer.ts';
import { silentLogger } from './telemetry/log.ts';

class Report {
  problems = 0;

  ok(what: string): void {
    process.stdout.write(`  ok    ${what}\n`);
  }

  /** Something this host does without. */
  none(what: string): void {
    process.stdout.write(`  none  ${what}\n`);
  }

  wrong(what: string): void {
    this.problems++;
    process.stdout.write(`  WRONG ${what}\n`);
  }

  section(title: string): void {
    process.stdout.write(`${title}\n`);
  }
}

/** Prints what this host can do and what is wrong with it. Returns the exit code: 1 when something is wrong. */
export async function doctor(configPath: string, root: string): Promise<number> {
  const report = new Report();
  report.section('host');
  report.ok(
    `${availableParallelism()} cores (${cpus()[0]?.model ?? 'unknown'}), ${Math.round(totalmem() / 2 ** 30)} GiB`,
  );
  report.ok(`Node ${process.version}`);
  await attempt(report, async () => {
    const { path, version } = await checkFfmpeg();
    report.ok(`ffmpeg ${version} (${path})`);
  });
  report.section('configuration');
  const config = await readConfig(report, configPath);
  report.section('ports');
  const uptime = await gatewayUptime(config.http);
  if (uptime !== undefined) {
    report.ok(
      `a gateway has been running for ${uptime} s: it has them, and the times below are of what it leaves`,
    );
  } else {
    await checkPort(report, 'http', config.http.host, config.http.port);
    if (config.rtmp.enabled) await checkPort(report, 'rtmp', config.rtmp.host, config.rtmp.port);
  }
  const [first, last] = config.webrtc.portRange;
  const ports = last - first + 1;
  // One for IPv4 and one for IPv6.
  if (ports < 2 * config.webrtc.maxViewers) {
    report.wrong(`webrtc.portRange has ${ports} ports for ${config.webrtc.maxViewers} viewers: widen it`);
  } else report.ok(`webrtc: UDP ${first}-${last}, up to ${config.webrtc.maxViewers} viewers`);
  report.section('restoring files');
  await attempt(report, async () => {
    const { enabled, directory } = config.jobs;
    const found = enabled
      ? await describeJobs(config.jobs, resolve(dirname(configPath), directory))
      : ['off (jobs.enabled)'];
    for (const what of found) report.ok(what);
  });
  const { decode, encode, devices } = config.restorer;
  const device = devices === 'auto' ? 0 : devices[0]!;
  report.section('hardware decoding');
  describeHardware(report, 'decode', decode, await tryHardwareDecoders(ffmpegPath(), device));
  report.section('hardware encoding');
  describeHardware(report, 'encode', encode, await tryHardwareEncoders(device));
  report.section('inference providers');
  await checkProviders(report, config, root);
  report.section('models');
  await checkModels(report, config, root);
  process.stdout.write(
    report.problems === 0 ? 'nothing is wrong\n' : `${report.problems} thing(s) to correct\n`,
  );
  return report.problems === 0 ? 0 : 1;
}

async function attempt(report: Report, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    const { code, message } = errorInfo(error);
    report.wrong(`${code}: ${message}`);
  }
}

async function readConfig(report: Report, path: string): Promise<Config> {
  let config: Config | undefined;
  await attempt(report, async () => {
    const store = await ConfigStore.open(path, silentLogger);
    config = store.current;
    store.close();
    report.ok(`${path}: ${Object.keys(config.streams).length} stream(s)`);
    await checkFolder(report, dirname(await realpath(path)));
  });
  if (config) return config;
  report.none('ports and directories below are those of a file without any setting');
  return configSchema.parse({});
}

/** The page and the API write a new file beside the old one. */
async function checkFolder(report: Report, folder: string): Promise<void> {
  try {
    await access(folder, constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    report.none(
      `${folder} cannot be written to (${code}): changes from the page and the API are refused, edit the file by hand`,
    );
    return;
  }
  const { bavail } = await statfs(folder);
  if (bavail === 0)
    report.wrong(`the disk of ${folder} is full: make room, changes from the page and the API are refused`);
}

async function checkPort(report: Report, what: string, host: string, port: number): Promise<void> {
  const server = createServer();
  const error = await new Promise<NodeJS.ErrnoException | undefined>((done) => {
    server.once('error', done);
    server.listen(port, host, () => done(undefined));
  });
  if (error) report.wrong(`${what}: ${host}:${port} cannot be opened (${error.code})`);
  else report.ok(`${what}: ${host}:${port} is free`);
  await new Promise<void>((done) => server.close(() => done()));
}

function describeHardware(
  report: Report,
  verb: 'decode' | 'encode',
  wish: Config['restorer']['decode'],
  trials: { method: string; works: boolean; detail: string }[],
): void {
  for (const { method, works, detail } of trials) {
    if (works) report.ok(`${method}: ${detail}${wish === 'software' ? ` (off: restorer.${verb})` : ''}`);
    else report.none(`${method}: ${detail}`);
  }
  if (trials.length === 0) report.none('this ffmpeg lists neither cuda nor vaapi');
  if (wish === 'hardware' && !trials.some(({ works }) => works))
    report.wrong(`restorer.${verb} is hardware, and none works: software ${verb}s`);
}

async function checkModels(report: Report, config: Config, root: string): Promise<void> {
  const facts = await openRestorer(config, root);
  if (!facts) report.wrong(`the restorer did not open its models within ${ANSWER_WITHIN / 1000} s`);
  else describeModels(report, facts);
}

/** What a restorer on this host says it can do; undefined when it dies or takes too long. */
function openRestorer(
  config: Config,
  root: string,
  changes: Partial<RestorerOptions> = {},
): Promise<RestorerFacts | undefined> {
  const { provider, models, threads, devices } = config.restorer;
  return askRestorer({
    provider,
    models: resolve(root, models),
    threads: threads ?? availableParallelism(),
    device: devices === 'auto' ? 0 : devices[0]!,
    log: { level: 'silent', format: 'json' },
    ...changes,
  });
}

/** Each provider in a process of its own: a broken driver takes nothing else down. */
async function checkProviders(report: Report, config: Config, root: string): Promise<void> {
  const wanted = config.restorer.provider;
  for (const provider of PROVIDERS) {
    const facts = await openRestorer(config, root, { only: provider });
    const status = facts?.providers[0];
    const detail = status?.detail ?? 'it took its process down, or hung';
    if (status?.works) report.ok(`${provider}: ${detail}${timesOf(facts!)}`);
    else if (provider === wanted) report.wrong(`${provider}: ${detail}`);
    else report.none(`${provider}: ${detail}`);
  }
}

function timesOf({ speeds }: RestorerFacts): string {
  const times = Object.entries(speeds).map(
    ([model, speed]) => `${model} ${estimate(speed, 1920, 1080).toFixed(1)} ms`,
  );
  return times.length > 0 ? `; a 1080p frame: ${times.join(', ')}` : '';
}

function describeModels(report: Report, facts: RestorerFacts): void {
  const { provider, models, speeds } = facts;
  report.ok(`inference runs on ${provider}`);
  for (const model of models) {
    if (model.error) report.wrong(model.error);
    else if (model.kind === 'smoother') report.ok(`${model.name} ${model.version}: ${model.description}`);
    else {
      const speed = speeds[model.name]!;
      const times = HEIGHTS.map(
        (height) => `${height}p ${estimate(speed, (height * 16) / 9, height).toFixed(1)}`,
      ).join(', ');
      const delay =
        model.window.future > 0
          ? `, looks ${model.window.future} frame ahead (one frame interval of latency)`
          : '';
      report.ok(`${model.name} ${model.version}: ms a frame with smoothing: ${times}${delay}`);
    }
  }
  const choice = chooseRestoration(facts, ASSUMED_FPS, 1);
  report.ok(`auto picks ${choice.model} at ${choice.height} lines: ${choice.reason}`);
}
