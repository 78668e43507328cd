import { EventEmitter } from 'node:events';
import type { RestorerCommand, RestorerEvent, RestorerFacts } from '../contracts/restorer.ts';
import type { Logger } from '../telemetry/log.ts';
import { Occupancy } from './placement.ts';
import { ProviderReturn } from './provider-return.ts';
import type { RestorerClient } from './restorer-client.ts';

type StreamCommand = Extract<RestorerCommand, { stream: string }>;

/** The restorer as one stream sees it. */
export interface StreamRestorer {
  /** What it said it can do; undefined while there is none for the stream. */
  readonly ready: RestorerFacts | undefined;
  send(command: StreamCommand): void;
}

/** Providers that run on the device they are told; the others always take the host's first. */
const CHOOSES_DEVICE = ['cuda', 'tensorrt'];

interface PoolEvents {
  event: [event: Exclude<RestorerEvent, { t: 'trying' | 'opened' | 'ready' | 'alive' }>];
  /** A restorer answers (again). It concerns the streams placed on it and those that are on none. */
  ready: [facts: RestorerFacts, device: number, concerns: (stream: string) => boolean];
  /** A restorer's models are open: its streams are restored from now on. */
  opened: [device: number];
  /** A restorer died; the streams it had are on none now. */
  down: [cause: string, device: number, streams: string[]];
  /** A stream was stopped in its restorer and placed on another, where it is to be started. */
  move: [stream: string, cause: string];
  /** A restorer that only doubled another was ended. */
  retired: [device: number, streams: string[]];
}

/** One restorer and what runs on it. */
export interface PoolMember {
  client: RestorerClient;
  /** Number of the accelerator; names the restorer in metrics and logs. */
  device: number;
}

interface Seat extends PoolMember {
  occupancy: Occupancy;
  /** Has neither become ready nor died yet. */
  starting: boolean;
  /** Has run on the accelerator of its number: on another provider it waits for that to come back. */
  hasOwn: boolean;
}

export interface PoolOptions {
  logger: Logger;
  /**
   * End restorers whose provider does not choose its device, all but the first: they would share one accelerator. Those
   * that had one of their own and lost it stay.
   */
  retireDoubles: boolean;
  /** After so long, ms, a restorer that lost its provider looks whether it is back, and again; never when absent. */
  returnAfter?: number;
}

/**
 * The restorers of this host, one an accelerator. Each stream lives on one: the least loaded when it starts, another
 * when that one dies, and another when it is held back there while another has room.
 */
export class RestorerPool extends EventEmitter<PoolEvents> {
  private seats: Seat[];
  private readonly options: PoolOptions;
  private readonly returns: ProviderReturn[] = [];

  constructor(members: PoolMember[], options: PoolOptions) {
    super();
    this.options = options;
    this.seats = members.map((member) => ({
      ...member,
      occupancy: new Occupancy(),
      starting: true,
      hasOwn: false,
    }));
    const { returnAfter, logger } = options;
    for (const seat of this.seats) {
      this.listen(seat);
      if (returnAfter !== undefined) this.returns.push(new ProviderReturn(seat.client, returnAfter, logger));
    }
  }

  /** What the first restorer that runs said it can do; undefined while none does. */
  get ready(): RestorerFacts | undefined {
    return this.seats.find(({ client }) => client.ready)?.client.ready;
  }

  get members(): readonly PoolMember[] {
    return this.seats;
  }

  /** Those that answer, the one with the most room first. */
  get running(): PoolMember[] {
    return this.seats
      .filter(({ client }) => client.ready)
      .toSorted((a, b) => Occupancy.compare(a.occupancy, b.occupancy));
  }

  /** Process ids of those that run. */
  get pids(): number[] {
    return this.seats.flatMap(({ client }) => client.pid ?? []);
  }

  start(): void {
    for (const { client } of this.seats) client.start();
  }

  logFrom(level: string): void {
    for (const { client } of this.seats) client.logFrom(level);
  }

  async close(): Promise<void> {
    await Promise.all(
      [...this.returns, ...this.seats.map(({ client }) => client)].map((part) => part.close()),
    );
  }

  /** The restorer of one stream, wherever it is: found when the stream asks whether it is ready, or starts. */
  of(stream: string): StreamRestorer {
    const pool = this;
    return {
      get ready() {
        return pool.place(stream)?.client.ready;
      },
      send: (command) => this.send(command),
    };
  }

  /** Device of the restorer a stream is on. */
  deviceOf(stream: string): number | undefined {
    return this.seatOf(stream)?.device;
  }

  private send(command: StreamCommand): void {
    const { stream } = command;
    const seat = command.t === 'start' ? this.place(stream) : this.seatOf(stream);
    seat?.client.send(command);
    if (command.t === 'stop') seat?.occupancy.delete(stream);
  }

  private seatOf(stream: string): Seat | undefined {
    return this.seats.find(({ occupancy }) => occupancy.has(stream));
  }

  private place(stream: string): Seat | undefined {
    const present = this.seatOf(stream);
    if (present) return present;
    const running = this.seats.filter(({ client }) => client.ready);
    // Before the first is ready streams are dealt out among all that start.
    const candidates = running.length > 0 ? running : this.seats.filter(({ starting }) => starting);
    const seat = candidates.toSorted((a, b) => Occupancy.compare(a.occupancy, b.occupancy))[0];
    seat?.occupancy.add(stream, performance.now());
    return seat;
  }

  private listen(seat: Seat): void {
    const { client, device } = seat;
    client.on('event', (event) => {
      if (event.t === 'report') seat.occupancy.observe(event.report);
      this.emit('event', event);
      if (event.t === 'report') this.relieve(seat);
    });
    client.on('opened', (facts) => {
      seat.hasOwn ||= CHOOSES_DEVICE.includes(facts.provider);
      if (this.isDouble(seat)) this.retire(seat, facts);
      else this.emit('opened', device);
    });
    client.on('ready', (facts) => {
      seat.starting = false;
      this.emit('ready', facts, device, (stream) => (this.seatOf(stream) ?? seat) === seat);
    });
    client.on('down', (cause) => {
      seat.starting = false;
      const { names } = seat.occupancy;
      seat.occupancy.clear();
      this.emit('down', cause, device, names);
    });
  }

  /** Moves a stream that is held back on this restorer to one that has room. */
  private relieve(from: Seat): void {
    for (const to of this.seats) {
      if (to === from || !to.client.ready) continue;
      const stream = from.occupancy.movable(to.occupancy, performance.now());
      if (stream === undefined) continue;
      from.client.send({ t: 'stop', stream });
      from.occupancy.delete(stream);
      to.occupancy.add(stream, performance.now());
      this.options.logger.info(
        { stream, from: from.device, to: to.device },
        'stream moves to another restorer',
      );
      this.emit('move', stream, `accelerator ${to.device} has room for it`);
      return;
    }
  }

  private isDouble(seat: Seat): boolean {
    return this.options.retireDoubles && seat !== this.seats[0] && !seat.hasOwn;
  }

  private retire(seat: Seat, { provider }: RestorerFacts): void {
    this.options.logger.warn(
      { device: seat.device, provider },
      'this provider cannot choose its accelerator: one restorer less; install the CUDA provider to use every GPU',
    );
    this.seats = this.seats.filter((other) => other !== seat);
    void seat.client.close();
    this.emit('retired', seat.device, seat.occupancy.names);
  }
}
