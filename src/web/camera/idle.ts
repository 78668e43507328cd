const IDLE_MS = 3_000;

/** Marks an element `data-idle` while it fills the screen and nobody has moved the pointer or pressed a key for 3 s. */
export function markIdle(element: HTMLElement, signal: AbortSignal): void {
  let timer = 0;
  const awake = (): void => {
    clearTimeout(timer);
    delete element.dataset.idle;
    if (document.fullscreenElement !== element) return;
    timer = window.setTimeout(() => {
      element.dataset.idle = '';
    }, IDLE_MS);
  };
  for (const type of ['pointermove', 'pointerdown', 'keydown', 'fullscreenchange']) {
    document.addEventListener(type, awake, { signal });
  }
}
