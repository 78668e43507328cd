import type { Jobs } from '../../contracts/jobs.ts';
import type { Auth } from '../auth.ts';

/** What the routes of /restore are made of. */
export interface RestoreContext {
  jobs: Jobs;
  auth: Auth;
}
