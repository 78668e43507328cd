import type { RestorerFacts } from '../contracts/restorer.ts';
import type { RestorerOptions } from '../restore/restorer-process.ts';
import { silentLogger } from '../telemetry/log.ts';
import { RestorerClient } from './restorer-client.ts';

/** Opening and timing every model takes seconds; a broken driver may take for ever, ms. */
export const ANSWER_WITHIN = 120_000;

/** Starts a restorer, asks what it can do and ends it; undefined when it dies, takes too long or is given up. */
export async function askRestorer(
  options: RestorerOptions,
  signal?: AbortSignal,
): Promise<RestorerFacts | undefined> {
  // A second lane can do what the first can.
  const restorer = new RestorerClient({ ...options, lanes: 1 }, silentLogger);
  const answer = Promise.withResolvers<RestorerFacts | undefined>();
  const giveUp = () => answer.resolve(undefined);
  const timer = setTimeout(giveUp, ANSWER_WITHIN);
  signal?.addEventListener('abort', giveUp);
  restorer.once('ready', answer.resolve).once('down', giveUp);
  restorer.start();
  const facts = await answer.promise;
  clearTimeout(timer);
  signal?.removeEventListener('abort', giveUp);
  await restorer.close();
  return facts;
}
