import { ApiError, api } from './api.ts';

/**
 * A part of the page that is loaded when it is first needed. Rejects with an ApiError in words: a gateway that was
 * upgraded since the page was opened no longer has its files.
 */
export async function part<T>(load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch {
    // Rejects by itself where the gateway does not answer.
    await api.session();
    throw new ApiError(410, 'FOREIGN', 'This page is older than the gateway: reload it.');
  }
}
