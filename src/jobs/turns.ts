import type { Job } from '../contracts/jobs.ts';

/**
 * The turn of an owner's next job, by start-time fair queueing (Goyal, Vin, Cheng 1996) with jobs of equal cost: an
 * owner has one job a turn, so that who brings a hundred files does not keep others waiting, and nobody starves.
 * @param known every job that is kept, over or not
 */
export function nextTurn(known: readonly Pick<Job, 'owner' | 'turn' | 'started'>[], owner: string): number {
  let turn = 0;
  for (const job of known) {
    if (job.started !== undefined) turn = Math.max(turn, job.turn);
    if (job.owner === owner) turn = Math.max(turn, job.turn + 1);
  }
  return turn;
}
