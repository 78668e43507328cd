import { PROVIDERS, type ProviderStatus, type RestorerFacts } from '../contracts/restorer.ts';
import type { Logger } from '../telemetry/log.ts';
import { askRestorer } from './ask-restorer.ts';
import type { RestorerClient } from './restorer-client.ts';

type Provider = ProviderStatus['provider'];

/**
 * Brings a restorer back to the provider it ran on before it lost it. Whether that works again is tried every so often
 * in a process of its own: the driver may take it down, and the streams go on meanwhile. Going back costs them what a
 * restart of the restorer does.
 */
export class ProviderReturn {
  private readonly client: RestorerClient;
  private readonly after: number;
  private readonly logger: Logger;
  /** The fastest it ever ran on. */
  private best: Provider | undefined;
  private timer: NodeJS.Timeout | undefined;
  private readonly closing = new AbortController();
  private trial: Promise<void> | undefined;

  /** @param after ms between the loss and the first trial, and between two trials */
  constructor(client: RestorerClient, after: number, logger: Logger) {
    this.client = client;
    this.after = after;
    this.logger = logger;
    client.on('opened', (facts) => this.onOpened(facts));
    client.on('down', () => clearTimeout(this.timer));
  }

  async close(): Promise<void> {
    this.closing.abort();
    clearTimeout(this.timer);
    await this.trial;
  }

  private onOpened({ provider }: RestorerFacts): void {
    if (this.best === undefined || PROVIDERS.indexOf(provider) <= PROVIDERS.indexOf(this.best))
      this.best = provider;
    else this.schedule(this.best);
  }

  private schedule(provider: Provider): void {
    clearTimeout(this.timer);
    if (this.closing.signal.aborted) return;
    this.timer = setTimeout(() => {
      this.trial = this.try(provider);
    }, this.after);
  }

  private async try(provider: Provider): Promise<void> {
    const { client, logger } = this;
    const before = client.pid;
    const { signal } = this.closing;
    const facts = await askRestorer({ ...client.options, only: provider }, signal);
    // One that was restarted meanwhile has looked for itself.
    if (signal.aborted || client.pid !== before) return;
    if (!facts?.providers[0]?.works) {
      logger.info({ provider, detail: facts?.providers[0]?.detail }, 'the provider is still lost');
      this.schedule(provider);
      return;
    }
    logger.info({ provider }, 'the provider works again: the restorer goes back to it');
    client.renewOn(provider);
  }
}
