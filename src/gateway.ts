import { randomBytes } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { checkFfmpeg } from './codec/ffmpeg.ts';
import { type ConfigDiff, diffConfig } from './config/diff.ts';
import type { Config, StreamConfig } from './config/schema.ts';
import { ConfigStore } from './config/store.ts';
import { ClearwayError, errorInfo } from './contracts/errors.ts';
import type { SourceAddress } from './contracts/restorer.ts';
import { createControl } from './control.ts';
import { Attempts } from './http/attempts.ts';
import { createHttpServer, type HttpServer } from './http/server.ts';
import { createDemoCamera, type DemoCamera } from './ingest/demo.ts';
import { RtmpServer } from './ingest/rtmp.ts';
import { SourceProxy } from './ingest/source-proxy.ts';
import { resolveSource } from './ingest/sources.ts';
import { createJobTools } from './job-tools.ts';
import { openJobs } from './jobs/open.ts';
import type { JobService } from './jobs/service.ts';
import { createHlsPublisher, type HlsPublisher } from './publish/hls/publisher.ts';
import { hlsRoutes } from './publish/hls/routes.ts';
import { snapshotRoutes } from './publish/snapshot/routes.ts';
import { createWebRtcPublisher, type WebRtcPublisher, whepRoutes } from './publish/webrtc/index.ts';
import { StreamRegistry } from './streams/registry.ts';
import { RestorerClient } from './streams/restorer-client.ts';
import { RestorerPool } from './streams/restorer-pool.ts';
import { countGpus } from './telemetry/accelerator.ts';
import { HostReadings } from './telemetry/host-readings.ts';
import type { Logger } from './telemetry/log.ts';
import { Metrics } from './telemetry/metrics.ts';

/** How often a restorer that lost its GPU looks whether it is back, ms: looking costs seconds of every core. */
const RETURN_AFTER = 600_000;
/** How long restorers may take to let go of their files when the gateway stops, ms. */
const JOBS_GRACE = 2500;
/** Wrong keys of a stream that an address may send in a minute, and its refused pushes of a minute that are logged. */
const RTMP_REFUSALS = 10;
/** The stream that starts when none is configured. */
const DEMO = 'demo';

export interface GatewayOptions {
  /** Path of the YAML file. */
  config: string;
  logger: Logger;
  /** How the restorer logs: as the configuration says, unless given. */
  log?: Config['log'];
  /** Directory of the project: models and the built page are looked up from here. */
  root: string;
}

/** The whole gateway, wired: configuration -> streams -> servers. The only file that knows everyone. */
export class Gateway {
  readonly url: string;
  readonly streams: StreamRegistry;
  readonly restorer: RestorerPool;
  private readonly parts: Parts;

  private constructor(url: string, parts: Parts) {
    this.url = url;
    this.parts = parts;
    this.streams = parts.streams;
    this.restorer = parts.restorer;
  }

  /** Starts everything. Rejects with a ClearwayError that says what to do, leaving nothing open. */
  static async start({ config: path, logger, log, root }: GatewayOptions): Promise<Gateway> {
    await checkFfmpeg();
    const store = await ConfigStore.open(path, logger);
    const devices = await restorerDevices(store.current.restorer);
    const parts = new Parts(store, logger, log ?? store.current.log, root, devices);
    try {
      const url = await parts.open();
      return new Gateway(url, parts);
    } catch (error) {
      await parts.close();
      throw error;
    }
  }

  /** Ends sessions, sources and processes; takes less than 5 s. */
  close(): Promise<void> {
    return this.parts.close();
  }
}

class Parts {
  readonly metrics = new Metrics();
  readonly restorer: RestorerPool;
  readonly streams: StreamRegistry;
  private readonly store: ConfigStore;
  /** What the start read. */
  private readonly began: Config;
  private readonly logger: Logger;
  private readonly root: string;
  private readonly webrtc: WebRtcPublisher;
  private readonly hls: HlsPublisher | undefined;
  private rtmp: RtmpServer | undefined;
  private readonly proxy = new SourceProxy();
  private http: HttpServer | undefined;
  private readings: HostReadings | undefined;
  private jobs: JobService | undefined;
  private readonly demos = new Map<string, DemoCamera>();
  /** Only our own demo camera may push to a demo stream. */
  private readonly demoKey = randomBytes(16).toString('hex');
  /** Streams that exist only while somebody pushes them, until they are given a source or a key. */
  private readonly guests = new Set<string>();

  constructor(store: ConfigStore, logger: Logger, log: Config['log'], root: string, devices: number[]) {
    this.store = store;
    this.began = store.current;
    this.logger = logger;
    this.root = root;
    const config = store.current;
    const options = {
      models: resolve(root, config.restorer.models),
      provider: config.restorer.provider,
      decode: config.restorer.decode,
      encode: config.restorer.encode,
      threads: config.restorer.threads ?? availableParallelism(),
      log,
    };
    this.restorer = new RestorerPool(
      devices.map((device) => ({ device, client: new RestorerClient({ ...options, device }, logger) })),
      { logger, retireDoubles: config.restorer.devices === 'auto', returnAfter: RETURN_AFTER },
    );
    this.streams = new StreamRegistry({
      restorer: this.restorer,
      logger,
      metrics: this.metrics,
      open: (name, stream) => this.openSource(name, stream),
      viewers: (name) => ({ webrtc: this.webrtc.viewers(name), hls: this.hls?.viewers(name) ?? 0 }),
    });
    this.streams.on('removed', (name) => {
      this.updateDemoCamera(name, undefined);
      this.guests.delete(name);
      this.rtmp?.putOut(name, 'its stream has ended');
    });
    const publishing = { streams: this.streams, logger, metrics: this.metrics };
    this.webrtc = createWebRtcPublisher({
      ...publishing,
      config: config.webrtc,
      sent: (stream, pts, at) => this.streams.deliveries.sent(stream, pts, at),
    });
    this.hls = config.hls.enabled ? createHlsPublisher({ ...publishing, config: config.hls }) : undefined;
  }

  async open(): Promise<string> {
    const { store, streams, logger, webrtc, hls } = this;
    const config = store.current;
    // What takes longest: it opens and times its models meanwhile.
    this.restorer.start();
    const jobsOff = config.jobs.enabled ? await this.openJobs(config) : undefined;
    this.http = await createHttpServer({
      config,
      control: createControl({
        store,
        streams,
        restorer: this.restorer,
        metrics: this.metrics,
        reconfigure: (name, stream) => {
          const before = this.streams.config(name);
          // What was chosen for it must outlast who pushes it, who may have to go.
          if (before?.source !== stream.source || before.key !== stream.key) this.guests.delete(name);
          this.reconfigure(name, stream);
          this.rtmp?.recheck();
        },
        rtmp: () => ({
          enabled: this.rtmp !== undefined,
          host: config.rtmp.host,
          port: this.rtmp?.port ?? config.rtmp.port,
        }),
      }),
      jobs: this.jobs ?? jobsOff,
      logger,
      metrics: this.metrics,
      webRoot: resolve(this.root, 'dist/web'),
      plugins: (guard) => [
        whepRoutes({ publisher: webrtc, streams, guard }),
        ...(hls ? [hlsRoutes({ publisher: hls, streams, guard })] : []),
        snapshotRoutes({ streams, guard }),
      ],
    });
    this.metrics.collectProcess();
    this.readings = new HostReadings({
      metrics: this.metrics,
      restorerPids: () => this.restorer.pids,
      directories: {
        config: dirname(store.path),
        ...(this.jobs ? { jobs: this.jobsDirectory(config.jobs) } : {}),
      },
      configValid: () => store.lastError === undefined,
      certificate: config.http.tls?.cert,
    });
    const { url } = await this.http.listen();
    if (config.rtmp.enabled) this.rtmp = await this.openRtmp(config);
    for (const [name, stream] of Object.entries(config.streams)) this.addStream(name, stream);
    this.updateDemo();
    store.on('change', (next, _previous, diff) => this.onConfig(next, diff));
    return url;
  }

  async close(): Promise<void> {
    this.store.close();
    this.readings?.close();
    for (const demo of this.demos.values()) void demo.stop();
    await this.http?.close();
    this.streams.close();
    // Jobs go back to the queue while the restorers still clean up after them.
    await Promise.race([this.jobs?.close(), setTimeout(JOBS_GRACE, undefined, { ref: false })]);
    await Promise.all([this.webrtc.close(), this.hls?.close(), this.rtmp?.close(), this.restorer.close()]);
    await Promise.all([...this.demos.values()].map((demo) => demo.stop()));
    await this.proxy.close();
  }

  /** Live streams run all the same when files cannot be restored; says why not. */
  private async openJobs({ jobs, restorer: { models } }: Config): Promise<string | undefined> {
    const { restorer, metrics, logger } = this;
    try {
      const tools = await createJobTools({
        restorer,
        models: resolve(this.root, models),
        allowedHosts: jobs.allowedHosts,
      });
      this.jobs = await openJobs({
        config: jobs,
        directory: this.jobsDirectory(jobs),
        tools,
        metrics,
        logger,
      });
      return undefined;
    } catch (error) {
      const { code, message } = errorInfo(error);
      // What has a code is to be expected, and its sentence says what to do.
      const why = error instanceof ClearwayError ? { code, reason: message } : { err: error };
      logger.error(why, 'files are not restored');
      return message;
    }
  }

  private jobsDirectory({ directory }: Config['jobs']): string {
    return resolve(dirname(this.store.path), directory);
  }

  private async openRtmp(config: Config): Promise<RtmpServer> {
    const rtmp = new RtmpServer({
      config: config.rtmp,
      lookup: (name, key) => this.pushTarget(name, key),
      attempts: new Attempts(RTMP_REFUSALS, 60_000),
      logger: this.logger,
    });
    await rtmp.listen();
    rtmp.on('published', (name) => {
      const stream = this.streams.get(name);
      if (stream) return stream.wake('a publisher came');
      this.guests.add(name);
      this.addStream(name, this.store.resolveStream({ source: 'push' }));
    });
    rtmp.on('unpublished', (name) => {
      const { source, enabled } = this.streams.config(name) ?? {};
      // A guest that is switched off stays so, and is not let in again.
      if (this.guests.has(name) && enabled) this.streams.remove(name);
      // One whose source was changed is pulled from elsewhere by now.
      else if (source === 'push' || source === 'demo')
        this.streams.get(name)?.sourceGone('the publisher left');
    });
    return rtmp;
  }

  private pushTarget(name: string, key: unknown): { key?: string | undefined } | undefined {
    const config = this.streams.config(name);
    if (config?.enabled === false) return undefined;
    // A demo camera that is being stopped may still come, and is no guest.
    if (key === this.demoKey && config?.source !== 'demo') return undefined;
    if (!config || this.guests.has(name))
      return this.store.current.rtmp.allowAny ? { key: config?.key } : undefined;
    if (config.source === 'push') return { key: config.key };
    if (config.source === 'demo') return { key: this.demoKey };
    return undefined;
  }

  private async openSource(name: string, config: StreamConfig): Promise<SourceAddress | undefined> {
    const { url, proxied } = await resolveSource(config.source, config.origin);
    // A proxy that the operator has given this host decides itself where it leads.
    if (url !== undefined && proxied && !process.env.http_proxy) return this.proxy.address(url);
    if (url !== undefined) return { url };
    if (!this.rtmp) {
      throw new ClearwayError(
        'CLEARWAY_SOURCE_UNREACHABLE',
        `Stream ${name} waits for an RTMP push, but rtmp.enabled is false.`,
      );
    }
    return this.rtmp.isPublishing(name) ? { url: this.rtmp.playUrl(name) } : undefined;
  }

  private addStream(name: string, config: StreamConfig): void {
    this.streams.add(name, config);
    this.updateDemoCamera(name, config);
  }

  private reconfigure(name: string, config: StreamConfig): void {
    this.streams.reconfigure(name, config);
    this.updateDemoCamera(name, config);
  }

  /** Runs the built-in camera exactly while its stream wants it. */
  private updateDemoCamera(name: string, config: StreamConfig | undefined): void {
    const wanted = config?.source === 'demo' && config.enabled && this.rtmp !== undefined;
    const running = this.demos.get(name);
    if (wanted && !running) {
      const demo = createDemoCamera({ pushUrl: this.rtmp!.pushUrl(name, this.demoKey), logger: this.logger });
      this.demos.set(name, demo);
      void demo.start();
    } else if (!wanted && running) {
      this.demos.delete(name);
      void running.stop();
    }
  }

  /**
   * With no stream configured there is something to see all the same. It makes way for the first camera, of which it
   * would take computing power; where it is wanted beside others it is configured.
   */
  private updateDemo(): void {
    const { streams: configured } = this.store.current;
    const wanted = Object.keys(configured).length === 0;
    const { source } = this.streams.config(DEMO) ?? {};
    if (wanted && source === undefined && this.rtmp) {
      this.addStream(DEMO, this.store.resolveStream({ source: 'demo' }));
    } else if (!wanted && source === 'demo' && configured[DEMO] === undefined) {
      this.logger.info({ stream: DEMO }, 'the demo makes way for the first camera');
      this.streams.remove(DEMO);
    }
  }

  private onConfig(next: Config, diff: ConfigDiff): void {
    for (const name of diff.removed) this.streams.remove(name);
    for (const name of diff.added) {
      // A guest, or the demo, that is given a place goes on.
      this.guests.delete(name);
      if (this.streams.get(name)) this.reconfigure(name, next.streams[name]!);
      else this.addStream(name, next.streams[name]!);
    }
    for (const { name } of diff.changed) this.reconfigure(name, next.streams[name]!);
    this.updateDemo();
    this.rtmp?.recheck();
    this.http?.reconfigure(next);
    if (diff.global.includes('log.level')) {
      this.logger.level = next.log.level;
      this.restorer.logFrom(next.log.level);
    }
    if (waitsForStart(diff).length > 0) {
      const waiting = waitsForStart(diffConfig(next, this.began));
      if (waiting.length > 0)
        this.logger.warn({ settings: waiting }, 'these settings take effect at the next start');
      else this.logger.info('no setting waits for the next start any more');
    }
  }
}

/** Settings that only a start reads, of those that differ. */
function waitsForStart({ global }: ConfigDiff): string[] {
  return global.filter((key) => !/^(auth\.|log\.level|http\.corsOrigins|rtmp\.allowAny)/.test(key));
}

/** Numbers of the accelerators to run a restorer on each; one restorer without a number to choose from. */
async function restorerDevices({ devices, provider }: Config['restorer']): Promise<number[]> {
  if (devices !== 'auto') return devices;
  const gpus = provider === 'cpu' ? 0 : await countGpus();
  return Array.from({ length: Math.max(1, gpus) }, (_, device) => device);
}
