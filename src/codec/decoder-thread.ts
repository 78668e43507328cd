import { flushCompileCache } from 'node:module';
import { parentPort } from 'node:worker_threads';
import { type ErrorInfo, errorInfo } from '../contracts/errors.ts';
import type { SourceSpec } from '../contracts/restorer.ts';
import type { SourceInfo } from '../contracts/stream.ts';
import {
  type ArrivedPacket,
  type DecodedAudio,
  type DecodedFrame,
  type DecoderOptions,
  type DecoderProcess,
  spawnDecoder,
} from './decoder-process.ts';

export type DecoderCommand =
  | { t: 'open'; id: number; spec: SourceSpec; options: DecoderOptions }
  /** One for every frame: the frame's own buffer or another of its size. */
  | { t: 'buffer'; id: number; buffer: ArrayBuffer }
  | { t: 'height'; id: number; height: number }
  | { t: 'stop'; id: number };

export type DecoderEvent = { id: number } & (
  | { t: 'opened'; info: SourceInfo }
  | { t: 'packet'; packet: ArrivedPacket }
  | { t: 'frame'; frame: DecodedFrame }
  | { t: 'audio'; audio: DecodedAudio }
  | { t: 'hardwareFailed'; why: string }
  | { t: 'ended'; error: ErrorInfo; problems: string[]; again?: SourceSpec }
  | { t: 'stopped' }
);

/** Frames the owner has not answered yet before reading waits for it: what is late fills the pipe, not the memory. */
const AHEAD = 8;

const port = parentPort!;
const decoders = new Map<number, LentDecoder>();

/** A decoder whose pictures go to the thread's owner, buffer by buffer. */
class LentDecoder {
  private readonly process: DecoderProcess;
  private spare: ArrayBuffer[] = [];
  private unanswered = 0;

  constructor(id: number, spec: SourceSpec, options: DecoderOptions) {
    const post = (event: DecoderEvent, data?: Uint8Array) =>
      port.postMessage(event, data ? [data.buffer as ArrayBuffer] : []);
    this.process = spawnDecoder(spec, options, {
      allocate: (bytes) => this.allocate(bytes),
      frame: (frame) => {
        post({ t: 'frame', id, frame }, frame.data);
        this.unanswered += 1;
        if (this.unanswered >= AHEAD) this.process.pause();
      },
      // A thread's own buffers do not run out.
      dropped() {},
      audio: (audio) => post({ t: 'audio', id, audio }, audio.data),
      packet: (packet) => post({ t: 'packet', id, packet }),
      opened: (info) => post({ t: 'opened', id, info }),
      hardwareFailed: (why) => post({ t: 'hardwareFailed', id, why }),
      ended: ({ error, ...end }) => {
        decoders.delete(id);
        post({ t: 'ended', id, error: errorInfo(error), ...end });
      },
    });
  }

  answer(buffer: ArrayBuffer): void {
    this.spare.push(buffer);
    this.unanswered -= 1;
    if (this.unanswered < AHEAD) this.process.resume();
  }

  setHeight(height: number): void {
    this.process.setHeight(height);
  }

  stop(): Promise<void> {
    return this.process.stop();
  }

  private allocate(bytes: number): Uint8Array {
    this.spare = this.spare.filter(({ byteLength }) => byteLength === bytes);
    return new Uint8Array(this.spare.pop() ?? new ArrayBuffer(bytes));
  }
}

flushCompileCache();
port.on('message', (command: DecoderCommand) => {
  const { id } = command;
  switch (command.t) {
    case 'open':
      try {
        decoders.set(id, new LentDecoder(id, command.spec, command.options));
      } catch (error) {
        // The other sources of this thread go on.
        port.postMessage({ t: 'ended', id, error: errorInfo(error), problems: [] } satisfies DecoderEvent);
      }
      break;
    case 'buffer':
      decoders.get(id)?.answer(command.buffer);
      break;
    case 'height':
      decoders.get(id)?.setHeight(command.height);
      break;
    case 'stop': {
      const decoder = decoders.get(id);
      decoders.delete(id);
      void Promise.resolve(decoder?.stop()).then(() =>
        port.postMessage({ t: 'stopped', id } satisfies DecoderEvent),
      );
    }
  }
});
