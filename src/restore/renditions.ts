import { type EncodedPicture, H264Encoder } from '../codec/encoder.ts';
import type { HardwareEncoder } from '../codec/encoder-kinds.ts';
import { errorInfo } from '../contracts/errors.ts';
import type { AccessUnit, Rendition } from '../contracts/media.ts';
import { now } from '../contracts/time.ts';
import { pictureBytes, sideBySide } from './picture.ts';

/** A finished frame, ready for the encoders. Both pictures are I420 of width x height. */
export interface FinishedFrame {
  restored: Uint8Array;
  source: Uint8Array | undefined;
  width: number;
  height: number;
  pts: number;
  arrival: number;
  outcome: AccessUnit['outcome'];
}

/** What became of one frame. */
export interface EncodedFrame {
  units: AccessUnit[];
  /** Errors of the renditions that could not be encoded. */
  failures: unknown[];
}

interface Encoding {
  encoder: H264Encoder | undefined;
  bitrate: number;
  wantsKeyframe: boolean;
  /** Why it is encoded in software although there is a hardware encoder. */
  hardwareFailure: string | undefined;
}

export interface RenditionsOptions {
  /** CPU threads an encoder. */
  threads: number;
  /** What encodes; software when absent. */
  hardware?: HardwareEncoder | undefined;
  /** A rendition is encoded in software from now on: what the hardware encoder says. */
  hardwareFailed?(rendition: Rendition, why: string): void;
}

/** The encoders of one stream: one for each rendition somebody wants. Calls to `encode` must not overlap. */
export class Renditions {
  private readonly encodings = new Map<Rendition, Encoding>();
  private readonly options: RenditionsOptions;
  private hardware: HardwareEncoder | undefined;
  private beside = new Uint8Array(0);
  private busySince: number | undefined;

  constructor(options: RenditionsOptions) {
    this.options = options;
    this.hardware = options.hardware;
  }

  /** ms since the picture that is being encoded was begun; 0 while none is. */
  get busyFor(): number {
    return this.busySince === undefined ? 0 : performance.now() - this.busySince;
  }

  get wanted(): Rendition[] {
    return [...this.encodings.keys()];
  }

  /** Whether the unrestored picture is needed beside the restored one. */
  get needSource(): boolean {
    return this.encodings.has('source') || this.encodings.has('compare');
  }

  /** What encodes each rendition: a hardware encoder's name, or `software`, with the reason after one failed. */
  get encoders(): Partial<Record<Rendition, string>> {
    const hardware = this.hardware?.name ?? 'software';
    return Object.fromEntries(
      [...this.encodings].map(([rendition, { hardwareFailure }]) => [
        rendition,
        hardwareFailure === undefined ? hardware : `software (${hardwareFailure})`,
      ]),
    );
  }

  /** Encodes exactly these renditions from now on. */
  want(renditions: readonly Rendition[], bitrate: number): void {
    for (const [rendition, { encoder }] of this.encodings) {
      if (renditions.includes(rendition)) continue;
      encoder?.close();
      this.encodings.delete(rendition);
    }
    for (const rendition of renditions) {
      if (this.encodings.has(rendition)) continue;
      // Two pictures in one need twice the bits.
      const bps = rendition === 'compare' ? bitrate * 2 : bitrate;
      this.encodings.set(rendition, {
        encoder: undefined,
        bitrate: bps,
        wantsKeyframe: true,
        hardwareFailure: undefined,
      });
    }
  }

  /** The next picture is encoded by it, as a keyframe. Not while `encode` runs. */
  moveTo(hardware: HardwareEncoder): void {
    this.hardware = hardware;
    for (const encoding of this.encodings.values()) {
      encoding.encoder?.close();
      encoding.encoder = undefined;
      encoding.wantsKeyframe = true;
    }
  }

  requestKeyframe(rendition: Rendition): void {
    const encoding = this.encodings.get(rendition);
    if (encoding) encoding.wantsKeyframe = true;
  }

  /** All renditions start anew with a keyframe. */
  refresh(): void {
    for (const encoding of this.encodings.values()) encoding.wantsKeyframe = true;
  }

  setBitrate(rendition: Rendition, bps: number): void {
    const encoding = this.encodings.get(rendition);
    if (!encoding) return;
    encoding.bitrate = bps;
    encoding.encoder?.bound(bps);
  }

  /** Resolves once every encoder is done with the frame: one that fails neither holds up nor loses the others. */
  async encode(frame: FinishedFrame, fps: number): Promise<EncodedFrame> {
    this.busySince = performance.now();
    const settled = await Promise.allSettled(
      [...this.encodings].map(([rendition, encoding]) => this.encodeOne(rendition, encoding, frame, fps)),
    );
    this.busySince = undefined;
    const encoded: EncodedFrame = { units: [], failures: [] };
    for (const result of settled) {
      if (result.status === 'rejected') encoded.failures.push(result.reason);
      else if (result.value) encoded.units.push(result.value);
    }
    return encoded;
  }

  close(): void {
    this.want([], 0);
  }

  private async encodeOne(
    rendition: Rendition,
    encoding: Encoding,
    frame: FinishedFrame,
    fps: number,
  ): Promise<AccessUnit | undefined> {
    const picture = this.picture(rendition, frame);
    // Wanted only since this frame was taken up: the next one brings its source along.
    if (!picture) return undefined;
    const width = rendition === 'compare' ? frame.width * 2 : frame.width;
    const { height, pts, arrival, outcome } = frame;
    const attempt = () => this.encodePicture(encoding, picture, { width, height, fps }, pts);
    const encoded = await attempt().catch((error: unknown) => {
      const { hardwareFailed } = this.options;
      if (!this.hardware || encoding.hardwareFailure !== undefined) throw error;
      // One that failed, for want of sessions say, is not asked again while the rendition is wanted.
      encoding.hardwareFailure = errorInfo(error).message;
      hardwareFailed?.(rendition, encoding.hardwareFailure);
      return attempt();
    });
    return { rendition, ...encoded, width, height, arrival, encoded: now(), outcome };
  }

  private async encodePicture(
    encoding: Encoding,
    picture: Uint8Array,
    size: { width: number; height: number; fps: number },
    pts: number,
  ): Promise<EncodedPicture> {
    try {
      if (encoding.encoder?.width !== size.width || encoding.encoder.height !== size.height) {
        encoding.encoder?.close();
        encoding.encoder = undefined;
        encoding.encoder = await H264Encoder.open({
          ...size,
          bitrate: encoding.bitrate,
          threads: this.options.threads,
          hardware: encoding.hardwareFailure === undefined ? this.hardware : undefined,
        });
      }
      const key = encoding.wantsKeyframe;
      encoding.wantsKeyframe = false;
      return await encoding.encoder.encode(picture, pts, key);
    } catch (error) {
      // A fresh encoder, and a keyframe, for the next picture.
      encoding.encoder?.close();
      encoding.encoder = undefined;
      encoding.wantsKeyframe = true;
      throw error;
    }
  }

  private picture(rendition: Rendition, frame: FinishedFrame): Uint8Array | undefined {
    if (rendition === 'restored') return frame.restored;
    if (rendition === 'source' || !frame.source) return frame.source;
    const bytes = pictureBytes(frame.width * 2, frame.height);
    if (this.beside.length !== bytes) this.beside = new Uint8Array(bytes);
    sideBySide(frame.source, frame.restored, frame.width, frame.height, this.beside);
    return this.beside;
  }
}
