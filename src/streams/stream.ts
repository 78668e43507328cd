import type { StreamConfig } from '../config/schema.ts';
import { ClearwayError, type ErrorInfo, errorInfo, streamOffline } from '../contracts/errors.ts';
import type { Rendition } from '../contracts/media.ts';
import type { PublishedStream, SubscribeOptions, Subscription } from '../contracts/publish.ts';
import type { RestorerEvent, RestoreSettings, SourceAddress, StreamReport } from '../contracts/restorer.ts';
import type { SourceInfo, StreamState, StreamStatus } from '../contracts/stream.ts';
import type { Logger } from '../telemetry/log.ts';
import { redact } from '../telemetry/redact.ts';
import type { StreamRestorer } from './restorer-pool.ts';
import { retryDelay } from './retry.ts';
import { SnapshotDesk } from './snapshot-desk.ts';
import { type Demand, Subscribers } from './subscribers.ts';

/** An on-demand source stays connected this long after the last viewer, ms. */
const LINGER = 10_000;
/** A session that showed a picture for so long was a success: the next failure starts the retry ladder anew, ms. */
const SOUND = 5000;
/** Seconds without a picture after which a session is given up. */
const STALL_TIMEOUT = 5;
/** Reports (seconds) without a picture before a live stream counts as degraded. */
const SILENT_REPORTS = 2;

/** Unique among all streams: what one still sends that was removed is not taken for its successor of the same name. */
let nextSession = 1;

/** What a stream needs of the gateway. */
export interface StreamHost {
  restorer: StreamRestorer;
  logger: Logger;
  /** What to open now; undefined while there is nothing to open (nobody pushes). Throws CLEARWAY_URL_REFUSED. */
  open(): Promise<SourceAddress | undefined>;
  /** Viewers by protocol, from the publishers. */
  viewers(): StreamStatus['viewers'];
  /** A connection attempt after the first begins. */
  reconnecting(): void;
  /** The source went away while it showed a picture. */
  lost(): void;
  /** The public status changed. */
  changed(status: StreamStatus): void;
}

type SessionEvent = Exclude<RestorerEvent, { t: 'trying' | 'opened' | 'ready' | 'alive' | 'snapshot' }>;

/**
 * One camera's life: idle -> connecting -> live -> degraded -> backoff -> ..., each transition with its cause. The
 * only place that retries. Nothing ends a stream but its removal.
 */
export class Stream implements PublishedStream {
  readonly name: string;
  private config: StreamConfig;
  private readonly host: StreamHost;
  private readonly subscribers: Subscribers;

  private state: StreamState = 'idle';
  private cause = 'not started yet';
  private error: ErrorInfo | undefined;
  private since = new Date();
  private retryAt: Date | undefined;
  private timer: NodeJS.Timeout | undefined;
  private failures = 0;
  /** The error the log has last, until something else happens. */
  private toldError: string | undefined;
  private reconnects = 0;
  private attempts = 0;
  private session: number | undefined;
  private liveSince: number | undefined;
  private silent = 0;
  private report: StreamReport | undefined;
  private input: SourceInfo | undefined;
  private readonly totals = { restored: 0, passthrough: 0, dropped: 0 };
  private told: Demand | undefined;
  /** Bitrates the subscribers wish for, and those the restorer was told. */
  private readonly wishes = new Map<Rendition, number | undefined>();
  private readonly bitrates = new Map<Rendition, number>();
  private readonly snapshots: SnapshotDesk;
  /** Nobody watches any more; the source is about to be let go. */
  private lingering = false;
  private closed = false;

  constructor(name: string, config: StreamConfig, host: StreamHost) {
    this.name = name;
    this.config = config;
    this.host = host;
    this.snapshots = new SnapshotDesk(
      (id, rendition) => host.restorer.send({ t: 'snapshot', stream: name, rendition, id }),
      (why) => streamOffline(this.status, why),
    );
    this.subscribers = new Subscribers({
      changed: () => this.onDemandChanged(),
      keyframe: (rendition) => host.restorer.send({ t: 'keyframe', stream: name, rendition }),
      bitrate: (rendition, bps) => this.onBitrate(rendition, bps),
    });
  }

  get status(): StreamStatus {
    const { report } = this;
    const shown = this.state === 'live' || this.state === 'degraded' ? report : undefined;
    return {
      name: this.name,
      ...(this.config.title === undefined ? {} : { title: this.config.title }),
      state: this.state,
      cause: this.cause,
      ...(this.error ? { error: this.error } : {}),
      since: this.since.toISOString(),
      ...(this.retryAt ? { retryAt: this.retryAt.toISOString() } : {}),
      reconnects: this.reconnects,
      source: redact(this.config.source),
      onDemand: this.config.onDemand,
      ...(this.input ? { input: this.input } : {}),
      ...(shown?.restoration ? { restoration: shown.restoration } : {}),
      ...(shown?.encoders ? { encoders: shown.encoders } : {}),
      fps: shown?.fps ?? 0,
      frames: { ...this.totals },
      ...(shown ? { latency: shown.latency } : {}),
      viewers: this.host.viewers(),
    };
  }

  get hasAudio(): boolean | undefined {
    return this.config.audio ? this.input?.hasAudio : false;
  }

  /** Begins the stream's life, or wakes it: a publisher came, the restorer is back. */
  wake(cause: string): void {
    if (this.closed || this.state === 'live' || this.state === 'degraded' || this.state === 'connecting')
      return;
    if (!this.config.enabled) this.enter('disabled', 'switched off by enabled: false in the configuration');
    else if (this.wanted) void this.connect(cause);
    else this.enter('idle', 'nobody is watching');
  }

  /** The source is known to be gone (the publisher left): no use in waiting for the watchdog. */
  sourceGone(cause: string): void {
    if (this.state === 'disabled') return;
    if (this.liveSince !== undefined) this.host.lost();
    this.disconnect();
    this.enter('idle', cause);
  }

  restorerDown(cause: string): void {
    this.told = undefined;
    this.snapshots.failAll(errorInfo(restorerDownError(cause)));
    if (this.state !== 'connecting' && this.state !== 'live' && this.state !== 'degraded') return;
    this.endSession();
    this.enter('backoff', `the restorer is restarting (${cause})`, errorInfo(restorerDownError(cause)));
  }

  /** The restorer answers again: whatever should be running starts. */
  restorerReady(): void {
    if (this.state === 'disabled') return;
    clearTimeout(this.timer);
    if (this.wanted) void this.connect('the restorer is ready');
    else this.rest();
  }

  /** Its restorer let it go and another takes it over: the picture goes on there, if somebody wants it. */
  restorerChanged(cause: string): void {
    if (this.state !== 'connecting' && this.state !== 'live' && this.state !== 'degraded') return;
    if (!this.wanted) return void this.rest();
    this.told = undefined;
    this.endSession();
    void this.connect(cause);
  }

  /** Takes new settings over: what need not reconnect does not. */
  reconfigure(config: StreamConfig): void {
    const before = this.config;
    this.config = config;
    const reopen = (['source', 'origin', 'transport', 'enabled', 'onDemand', 'audio'] as const).some(
      (key) => before[key] !== config[key],
    );
    if (reopen) {
      this.disconnect();
      this.input = undefined;
      this.report = undefined;
      this.failures = 0;
      this.enter('idle', 'its configuration changed');
      this.wake('its configuration changed');
    } else {
      this.host.restorer.send({ t: 'settings', stream: this.name, settings: this.settings });
      for (const rendition of this.told?.renditions ?? []) this.tellBitrate(rendition);
      this.host.changed(this.status);
    }
  }

  /** Counts of a report are added up here; its samples are the caller's to observe. */
  onEvent(event: SessionEvent): void {
    if (event.t === 'report') this.onReport(event.report);
    else if (event.session === this.session) this.onSession(event);
  }

  private onSession(event: Exclude<SessionEvent, { t: 'report' }>): void {
    switch (event.t) {
      case 'live':
        this.liveSince = performance.now();
        this.input = event.input;
        this.silent = 0;
        this.enter('live', 'pictures arrive');
        break;
      case 'unit':
        this.subscribers.video(event.unit);
        break;
      case 'audio':
        this.subscribers.audio(event.packet);
        break;
      case 'discontinuity':
        this.subscribers.each((sink) => sink.discontinuity?.(event.cause));
        break;
      case 'ended':
        this.onEnded(event.error);
    }
  }

  onSnapshot(event: Extract<RestorerEvent, { t: 'snapshot' }>): void {
    this.snapshots.settle(event.id, event);
  }

  subscribe(options: SubscribeOptions): Subscription {
    return this.subscribers.add(options);
  }

  async snapshot(rendition: Rendition): Promise<Uint8Array> {
    if (this.state === 'disabled') throw streamOffline(this.status);
    // Holds an on-demand source open until the picture is there.
    const hold = this.subscribe({ rendition: 'restored', still: true, sink: { video() {} } });
    try {
      return await this.snapshots.request(rendition, this.state === 'live' || this.state === 'degraded');
    } finally {
      hold.close();
    }
  }

  close(): void {
    this.closed = true;
    this.disconnect();
    this.subscribers.close();
    this.snapshots.failAll(errorInfo(streamOffline(this.status, 'it was removed')));
  }

  private get wanted(): boolean {
    return this.config.enabled && (!this.config.onDemand || this.subscribers.count > 0);
  }

  private get settings(): RestoreSettings {
    const { model, height, strength, smoothing, latencyBudget } = this.config;
    return { model, height, strength, smoothing, latencyBudget };
  }

  private async connect(cause: string): Promise<void> {
    clearTimeout(this.timer);
    const session = nextSession++;
    this.session = session;
    this.enter('connecting', cause);
    let opened: SourceAddress | undefined;
    try {
      opened = await this.host.open();
    } catch (error) {
      if (session === this.session) this.onEnded(errorInfo(error));
      return;
    }
    if (session !== this.session) return;
    if (opened === undefined) return this.enter('idle', 'waiting for a publisher');
    if (!this.host.restorer.ready) return this.enter('connecting', 'the restorer is starting');
    if (this.attempts++ > 0) {
      this.reconnects++;
      this.host.reconnecting();
    }
    this.host.restorer.send({
      t: 'start',
      stream: this.name,
      session,
      source: {
        ...opened,
        transport: this.config.transport,
        audio: this.config.audio,
        stallTimeout: STALL_TIMEOUT,
      },
      settings: this.settings,
      bitrate: this.config.bitrate.start,
    });
    this.told = undefined;
    this.tellDemand();
  }

  /** Nobody watches: takes no place in the restorer until somebody does. */
  private rest(): void {
    this.disconnect();
    this.enter('idle', 'nobody is watching');
  }

  private disconnect(): void {
    this.endSession();
    this.told = undefined;
    this.host.restorer.send({ t: 'stop', stream: this.name });
  }

  /** Nothing of the current session, and no timer, counts any more. */
  private endSession(): void {
    clearTimeout(this.timer);
    this.session = undefined;
    this.liveSince = undefined;
    this.lingering = false;
  }

  private onEnded(error: ErrorInfo): void {
    if (this.liveSince !== undefined) this.host.lost();
    const sound = this.liveSince !== undefined && performance.now() - this.liveSince > SOUND;
    this.failures = sound ? 1 : this.failures + 1;
    this.endSession();
    const wait = retryDelay(this.failures);
    this.retryAt = new Date(Date.now() + wait);
    this.enter('backoff', error.message, error);
    this.timer = setTimeout(() => {
      if (this.wanted) void this.connect('trying again');
      else this.rest();
    }, wait);
  }

  private onReport(report: StreamReport): void {
    this.report = report;
    this.input = report.input ?? this.input;
    this.totals.restored += report.restored;
    this.totals.passthrough += report.passthrough;
    for (const count of Object.values(report.dropped)) this.totals.dropped += count;
    if (this.liveSince !== undefined) this.judge(report);
    this.host.changed(this.status);
  }

  /** Live or degraded, by what the last second showed. */
  private judge(report: StreamReport): void {
    this.silent = report.restored + report.passthrough > 0 ? 0 : this.silent + 1;
    const { restoration } = report;
    if (this.silent >= SILENT_REPORTS) this.enter('degraded', `no picture for ${this.silent} s`);
    else if (restoration && restoration.step > 0) this.enter('degraded', restoration.reason);
    else if (this.silent === 0) this.enter('live', 'pictures arrive');
  }

  private onDemandChanged(): void {
    if (this.closed) return;
    this.tellDemand();
    if (!this.config.onDemand || !this.config.enabled) return;
    if (this.wanted) {
      if (this.state === 'idle') void this.connect('somebody watches');
      else if (this.lingering) {
        clearTimeout(this.timer);
        this.lingering = false;
      }
    } else if (this.state === 'live' || this.state === 'degraded' || this.state === 'connecting') {
      clearTimeout(this.timer);
      this.lingering = true;
      this.timer = setTimeout(() => this.rest(), LINGER);
    }
  }

  private tellDemand(): void {
    const demand = this.subscribers.demand;
    // A stream that is always on is always encoded: its latency is measured and the first viewer waits for nothing.
    if (!this.config.onDemand && !demand.renditions.includes('restored')) demand.renditions.push('restored');
    if (this.told && JSON.stringify(this.told) === JSON.stringify(demand)) return;
    this.told = demand;
    this.host.restorer.send({ t: 'watch', stream: this.name, ...demand });
    // A rendition that was not encoded until now knows nothing of what was told before.
    this.bitrates.clear();
    for (const rendition of demand.renditions) this.tellBitrate(rendition);
  }

  private onBitrate(rendition: Rendition, wish: number | undefined): void {
    this.wishes.set(rendition, wish);
    this.tellBitrate(rendition);
  }

  private tellBitrate(rendition: Rendition): void {
    const wish = this.wishes.get(rendition);
    const { min, start, max } = this.config.bitrate;
    const factor = rendition === 'compare' ? 2 : 1;
    const bps = Math.round(Math.min(max * factor, Math.max(min * factor, wish ?? start * factor)));
    if (this.bitrates.get(rendition) === bps) return;
    this.bitrates.set(rendition, bps);
    this.host.restorer.send({ t: 'bitrate', stream: this.name, rendition, bps });
  }

  /** A camera that stays away says so once, not every minute for a month. */
  private repeats(state: StreamState, error: ErrorInfo | undefined): boolean {
    // Else the last word of a camera that stays away would be that it connects.
    if (state === 'connecting' && this.failures > 0) return true;
    const same = state === 'backoff' && error?.code === this.toldError;
    if (state === 'backoff') this.toldError = error?.code;
    else if (state !== 'connecting') this.toldError = undefined;
    return same;
  }

  private enter(state: StreamState, cause: string, error?: ErrorInfo): void {
    if (state !== 'backoff') this.retryAt = undefined;
    const same = state === this.state && cause === this.cause;
    this.error = error;
    this.cause = cause;
    if (state !== this.state) {
      this.host.logger[this.repeats(state, error) ? 'debug' : 'info'](
        {
          stream: this.name,
          from: this.state,
          to: state,
          cause: redact(cause),
          ...(error ? { code: error.code } : {}),
        },
        'stream state',
      );
      this.state = state;
      this.since = new Date();
    }
    if (state === 'live') this.snapshots.wentLive();
    if (!same) this.host.changed(this.status);
  }
}

function restorerDownError(cause: string): ClearwayError {
  return new ClearwayError(
    'CLEARWAY_RESTORER_DOWN',
    `The restorer process is restarting (${cause}); the picture comes back by itself.`,
    {
      status: 503,
      retryable: true,
      retryAfter: 2,
    },
  );
}
