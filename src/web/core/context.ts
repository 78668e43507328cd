import type { Session } from './api.ts';
import type { Events } from './events.ts';
import type { Store } from './store.ts';

/** What every view is given. */
export interface Context {
  store: Store;
  events: Events;
  session: Session;
  navigate(path: string): void;
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

/** Whether the person may change cameras. */
export const mayEdit = ({ session }: Context): boolean => !session.auth || session.user?.role === 'admin';
