import { on } from 'node:events';
import type { RestorerEvent } from '../../src/contracts/restorer.ts';
import type { RestorerClient } from '../../src/streams/restorer-client.ts';

/** Gives a restorer one stream, restored by the fixture `blend` and watched. */
export function startStream(restorer: RestorerClient): void {
  restorer.send({
    t: 'start',
    stream: 'cam',
    session: 1,
    source: { url: 'lavfi:testsrc2=s=320x180:r=25', transport: 'auto', audio: false, stallTimeout: 20 },
    settings: { model: 'blend', height: 180, strength: 1, smoothing: 0, latencyBudget: 60_000 },
    bitrate: 500_000,
  });
  restorer.send({ t: 'watch', stream: 'cam', renditions: ['restored'], opus: false, aac: false });
}

/** Resolves once a second of the stream was restored on a provider, and was published. */
export async function restoredOn(restorer: RestorerClient, provider: string): Promise<void> {
  let units = 0;
  for await (const [event] of on(restorer, 'event') as AsyncIterable<[RestorerEvent]>) {
    if (event.t === 'unit') units++;
    if (event.t !== 'report') continue;
    const { restored, restoration } = event.report;
    if (restored > 0 && restoration?.provider === provider && units > 0) return;
  }
}
