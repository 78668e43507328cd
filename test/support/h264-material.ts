import { spawn } from 'node:child_process';
import type { AudioCodec } from '../../src/contracts/media.ts';

/** Loop length in seconds: a whole number of 20 ms Opus packets (400) and of 1024-sample AAC frames (375). */
const SECONDS = 8;

export interface MaterialOptions {
  width: number;
  height: number;
  fps: number;
  /** Frames from one IDR picture to the next. */
  gop: number;
  /** Bits per second, so that keyframes can be made as big as a test needs. */
  bitrate: number;
}

/** Eight seconds of encoded picture and sound that loop without a seam in their timing. */
export interface Material {
  /** Annex B access units with four-byte start codes, SPS and PPS before every IDR picture, no AUD. */
  pictures: { data: Uint8Array; key: boolean }[];
  audio: Record<AudioCodec, Uint8Array[]>;
}

/**
 * A moving test picture (running digits, gliding gradients) with a white square in the middle during the first
 * 80 ms of every second, and a 1 kHz beep during the same 80 ms.
 */
export async function encodeMaterial(options: MaterialOptions): Promise<Material> {
  const { width, height, fps, gop, bitrate } = options;
  const flash = `drawbox=x=iw/4:y=ih/4:w=iw/2:h=ih/2:color=white:t=fill:enable='lt(mod(t,1),0.08)'`;
  const beep = `aevalsrc='0.5*sin(2*PI*1000*t)*lt(mod(t,1),0.08)':s=48000:c=stereo`;
  // biome-ignore format: one argument and its value a line
  const video = ffmpeg([
    '-f', 'lavfi', '-i', `testsrc2=size=${width}x${height}:rate=${fps},${flash},format=yuv420p`,
    '-frames:v', String(SECONDS * fps),
    '-c:v', 'libx264', '-preset', 'ultrafast', '-tune', 'zerolatency', '-profile:v', 'baseline',
    '-b:v', String(bitrate),
    '-x264-params', `keyint=${gop}:min-keyint=${gop}:scenecut=0:repeat-headers=1:aud=1:sliced-threads=0:slices=1`,
    '-f', 'h264',
  ]);
  const opus = ffmpeg([
    '-f',
    'lavfi',
    '-i',
    beep,
    '-t',
    '8.1',
    '-c:a',
    'libopus',
    '-b:a',
    '64k',
    '-f',
    'ogg',
  ]);
  const aac = ffmpeg(['-f', 'lavfi', '-i', beep, '-t', '8.1', '-c:a', 'aac', '-b:a', '96k', '-f', 'adts']);
  return {
    pictures: accessUnits(await video),
    audio: {
      opus: oggPackets(await opus).slice(2, 402), // after OpusHead and OpusTags
      aac: adtsFrames(await aac).slice(1, 376), // after the encoder's priming frame
    },
  };
}

/** Runs ffmpeg to its end and gives what it wrote to stdout. */
async function ffmpeg(args: string[]): Promise<Buffer> {
  const child = spawn('ffmpeg', ['-nostdin', '-v', 'error', ...args, 'pipe:1'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exit = Promise.withResolvers<number | null>();
  child.once('error', exit.reject).once('close', exit.resolve);
  const output = await child.stdout.toArray();
  const code = await exit.promise;
  if (code !== 0) throw new Error(`ffmpeg ended with ${code} for ${args.join(' ')}`);
  return Buffer.concat(output);
}

/** Splits an Annex B stream at its access unit delimiters. */
function accessUnits(stream: Buffer): Material['pictures'] {
  const units: { nals: Buffer[]; key: boolean }[] = [];
  for (const nal of nalUnits(stream)) {
    const type = nal[0]! & 0x1f;
    if (type === 9) units.push({ nals: [], key: false });
    else {
      const unit = units.at(-1)!;
      unit.nals.push(nal);
      unit.key ||= type === 5;
    }
  }
  const start = Buffer.from([0, 0, 0, 1]);
  return units.map(({ nals, key }) => ({ data: Buffer.concat(nals.flatMap((nal) => [start, nal])), key }));
}

function nalUnits(stream: Buffer): Buffer[] {
  const code = Buffer.from([0, 0, 1]);
  const nals: Buffer[] = [];
  let start = stream.indexOf(code) + 3;
  while (start >= 3) {
    const next = stream.indexOf(code, start);
    let end = next < 0 ? stream.length : next;
    while (next >= 0 && stream[end - 1] === 0) end--;
    nals.push(stream.subarray(start, end));
    start = next + 3;
  }
  return nals;
}

/** The packets of an Ogg stream (RFC 3533): lacing values of 255 continue a packet, any other ends it. */
function oggPackets(stream: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  let open: Buffer[] = [];
  for (let page = 0; page < stream.length; ) {
    const lacing = stream.subarray(page + 27, page + 27 + stream[page + 26]!);
    let at = page + 27 + lacing.length;
    for (const size of lacing) {
      open.push(stream.subarray(at, at + size));
      at += size;
      if (size === 255) continue;
      packets.push(Buffer.concat(open));
      open = [];
    }
    page = at;
  }
  return packets;
}

/** Raw AAC frames of an ADTS stream (ISO 14496-3, seven-byte headers). */
function adtsFrames(stream: Buffer): Buffer[] {
  const frames: Buffer[] = [];
  for (let at = 0; at + 7 <= stream.length; ) {
    const length = (stream.readUIntBE(at + 3, 3) >> 5) & 0x1fff;
    frames.push(stream.subarray(at + 7, at + length));
    at += length;
  }
  return frames;
}
