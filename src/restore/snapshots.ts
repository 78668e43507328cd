import { encodeJpeg } from '../codec/jpeg.ts';
import { errorInfo } from '../contracts/errors.ts';
import type { Rendition } from '../contracts/media.ts';
import type { RestorerEvent } from '../contracts/restorer.ts';
import { pictureBytes, sideBySide } from './picture.ts';
import type { FinishedFrame } from './renditions.ts';

interface Request {
  id: number;
  rendition: Rendition;
}

/** Snapshots that wait for the next finished frame. */
export class Snapshots {
  private requests: Request[] = [];
  private readonly send: (event: Extract<RestorerEvent, { t: 'snapshot' }>) => void;

  constructor(send: (event: Extract<RestorerEvent, { t: 'snapshot' }>) => void) {
    this.send = send;
  }

  /** Whether the next frame must bring its unrestored picture along. */
  get needSource(): boolean {
    return this.requests.some(({ rendition }) => rendition !== 'restored');
  }

  request(id: number, rendition: Rendition): void {
    this.requests.push({ id, rendition });
  }

  /** Answers every request this frame can; the others wait for one that has its unrestored picture. */
  async serve(frame: FinishedFrame): Promise<void> {
    const due = this.requests.filter(({ rendition }) => rendition === 'restored' || frame.source);
    this.requests = this.requests.filter((request) => !due.includes(request));
    const jpegs = new Map<Rendition, Promise<Uint8Array>>();
    for (const { id, rendition } of due) {
      const jpeg = jpegs.get(rendition) ?? encodeRendition(rendition, frame);
      jpegs.set(rendition, jpeg);
      try {
        this.send({ t: 'snapshot', id, jpeg: await jpeg });
      } catch (error) {
        this.send({ t: 'snapshot', id, error: errorInfo(error) });
      }
    }
  }
}

function encodeRendition(rendition: Rendition, frame: FinishedFrame): Promise<Uint8Array> {
  const { restored, source, width, height } = frame;
  if (rendition === 'restored' || !source) return encodeJpeg(restored, width, height);
  if (rendition === 'source') return encodeJpeg(source, width, height);
  const beside = new Uint8Array(pictureBytes(width * 2, height));
  sideBySide(source, restored, width, height, beside);
  return encodeJpeg(beside, width * 2, height);
}
