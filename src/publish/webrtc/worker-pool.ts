import { availableParallelism } from 'node:os';
import type { Config } from '../../config/schema.ts';
import { ClearwayError } from '../../contracts/errors.ts';
import type { WorkerOptions } from './messages.ts';
import { splitRange } from './ports.ts';
import { ViewerWorker } from './viewer-worker.ts';

/** A worker that dies at once again and again is not restarted faster than this, ms. */
const RESTART_DELAY = 500;

/** The worker threads viewers are spread over; one that dies is replaced, on the same ports. */
export class WorkerPool {
  readonly #workers: (ViewerWorker | undefined)[];
  readonly #restarts = new Set<NodeJS.Timeout>();
  readonly #prepare: (worker: ViewerWorker) => void;
  #closed = false;

  /**
   * @param prepare called with every worker before it hosts anyone, to listen to it
   * @throws ClearwayError CLEARWAY_CONFIG_INVALID when the port range has no room for a viewer
   */
  constructor(config: Config['webrtc'], prepare: (worker: ViewerWorker) => void) {
    this.#prepare = prepare;
    const count = config.workers ?? Math.min(8, Math.max(1, Math.floor(availableParallelism() / 2)));
    const stun = config.iceServers.find(({ urls }) => urls.startsWith('stun:'))?.urls;
    // Ports below 1024 are for system services, and binding them takes privileges the gateway should not have.
    const [first, last] = [Math.max(1024, config.portRange[0]), config.portRange[1]];
    const ranges = splitRange([first, last], count);
    if (ranges.length === 0) {
      throw new ClearwayError(
        'CLEARWAY_CONFIG_INVALID',
        `webrtc.portRange [${config.portRange}] has no room for a viewer: give two ports a viewer, from 1024 up.`,
      );
    }
    const { additionalHosts } = config;
    const options = stun === undefined ? { additionalHosts } : { additionalHosts, stun };
    this.#workers = ranges.map((ports) => this.#start({ ...options, ports }));
  }

  /** The worker with the fewest viewers that has room for another; undefined when all are full. */
  pick(): ViewerWorker | undefined {
    return this.#workers
      .filter((worker): worker is ViewerWorker => worker !== undefined && !worker.full)
      .sort((a, b) => a.sessions.size - b.sessions.size)[0];
  }

  get size(): number {
    return this.#workers.length;
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#restarts) clearTimeout(timer);
    await Promise.all(this.#workers.map((worker) => worker?.close()));
  }

  #start(options: WorkerOptions): ViewerWorker {
    const worker = new ViewerWorker(options);
    worker.once('died', () => this.#replace(worker));
    this.#prepare(worker);
    return worker;
  }

  #replace(worker: ViewerWorker): void {
    const index = this.#workers.indexOf(worker);
    this.#workers[index] = undefined;
    const timer = setTimeout(() => {
      this.#restarts.delete(timer);
      if (!this.#closed) this.#workers[index] = this.#start(worker.options);
    }, RESTART_DELAY);
    this.#restarts.add(timer);
  }
}
