import type { JobStatus } from '../../contracts/jobs.ts';
import type { Jobs } from '../files/jobs.ts';
import type { Uploads } from '../files/uploads.ts';
import type { Session } from './api.ts';
import type { Events } from './events.ts';
import type { Store } from './store.ts';

/** What every view is given. */
export interface Context {
  store: Store;
  jobs: Jobs;
  uploads: Uploads;
  /** The gateway took a file: shows and says so. */
  accepted(job: JobStatus): void;
  events: Events;
  session: Session;
  navigate(path: string): void;
  /** Builds the open view anew. */
  reopen(): void;
  /** Says something briefly, on screen and to screen readers. */
  toast(message: string, kind?: 'note' | 'error'): void;
  /** Asks the gateway again who is signed in, and shows the login when nobody is. */
  recheckSession(): void;
}

export interface View {
  element: HTMLElement;
  title: string;
  dispose(): void;
}

/** Whether the person may change the camera named; without a name, whether any at all. */
export function mayEdit({ session }: Context, name?: string): boolean {
  if (!session.auth) return true;
  const { role, streams = ['*'] } = session.user ?? { role: 'read' };
  return role === 'admin' && (name === undefined || streams.includes('*') || streams.includes(name));
}
