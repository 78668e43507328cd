/**
 * Keeps the screen from going dark while a live picture is on it. Browsers do so for a video that is seen, but not for
 * the canvas that ours is drawn on. Only where the browser lets it: on https and localhost, not on a low battery.
 */
export class WakeLock {
  #wanted = false;
  #asking = false;
  #lock: WakeLockSentinel | undefined;

  /** To be called again and again: a browser takes the lock away from a hidden page. */
  async keep(wanted: boolean): Promise<void> {
    this.#wanted = wanted && !document.hidden && 'wakeLock' in navigator;
    if (this.#asking) return;
    if (this.#wanted && this.#lock?.released !== false) {
      this.#asking = true;
      this.#lock = await navigator.wakeLock.request('screen').catch(() => undefined);
      this.#asking = false;
    }
    if (!this.#wanted) {
      const lock = this.#lock;
      this.#lock = undefined;
      await lock?.release();
    }
  }
}
