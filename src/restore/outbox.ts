import type { Rendition } from '../contracts/media.ts';
import type { RestorerEvent } from '../contracts/restorer.ts';

/** Bytes of media that may wait for the gateway to read them: many seconds of many streams. */
const MOST = 32 << 20;

/**
 * What leaves the restorer for the gateway. A gateway that does not read (its process is stopped, its event loop
 * blocked) must not fill this process's memory: media that finds too much waiting is dropped, and a rendition goes on
 * with a keyframe. Everything else is small and always sent.
 */
export class Outbox {
  private readonly write: (event: RestorerEvent, written: () => void) => void;
  private readonly wantKeyframe: (stream: string, rendition: Rendition) => void;
  private waiting = 0;
  /** Renditions with a hole, by stream and name, and whether a keyframe was asked for. */
  private readonly broken = new Map<string, { asked: boolean }>();

  /**
   * @param write sends an event and says when the other side's pipe has taken it
   * @param wantKeyframe asks an encoder for a keyframe
   */
  constructor(
    write: (event: RestorerEvent, written: () => void) => void,
    wantKeyframe: (stream: string, rendition: Rendition) => void,
  ) {
    this.write = write;
    this.wantKeyframe = wantKeyframe;
  }

  send(event: RestorerEvent): void {
    if ((event.t === 'unit' || event.t === 'audio') && !this.admits(event)) return;
    const bytes =
      event.t === 'unit' ? event.unit.data.length : event.t === 'audio' ? event.packet.data.length : 0;
    this.waiting += bytes;
    this.write(event, () => {
      this.waiting -= bytes;
    });
  }

  private admits(event: Extract<RestorerEvent, { t: 'unit' | 'audio' }>): boolean {
    const full = this.waiting > MOST;
    if (event.t === 'audio') return !full;
    const { rendition, key } = event.unit;
    const name = `${event.stream}/${rendition}`;
    const hole = this.broken.get(name);
    if (full) {
      this.broken.set(name, { asked: false });
      return false;
    }
    if (!hole) return true;
    if (key) {
      this.broken.delete(name);
      return true;
    }
    if (!hole.asked) this.wantKeyframe(event.stream, rendition);
    hole.asked = true;
    return false;
  }
}
