/**
 * Just enough Matroska (RFC 9559) to hand raw pictures with their exact times to an ffmpeg child through a pipe: one
 * uncompressed I420 track, a cluster a picture, sizes unknown where they are (a stream has no end yet).
 */

const ID = {
  ebml: [0x1a, 0x45, 0xdf, 0xa3],
  docType: [0x42, 0x82],
  segment: [0x18, 0x53, 0x80, 0x67],
  info: [0x15, 0x49, 0xa9, 0x66],
  timestampScale: [0x2a, 0xd7, 0xb1],
  tracks: [0x16, 0x54, 0xae, 0x6b],
  trackEntry: [0xae],
  trackNumber: [0xd7],
  trackUid: [0x73, 0xc5],
  trackType: [0x83],
  codecId: [0x86],
  defaultDuration: [0x23, 0xe3, 0x83],
  video: [0xe0],
  pixelWidth: [0xb0],
  pixelHeight: [0xba],
  colourSpace: [0x2e, 0xb5, 0x24],
  cluster: [0x1f, 0x43, 0xb6, 0x75],
  timestamp: [0xe7],
  simpleBlock: [0xa3],
};

/** A size of eight bytes, the longest there is, so that lengths need no thought. */
function size(bytes: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE((1n << 56n) | BigInt(bytes));
  return out;
}

const UNKNOWN_SIZE = Buffer.from('01ffffffffffffff', 'hex');

function element(id: number[], ...content: Buffer[]): Buffer {
  const bytes = content.reduce((sum, { length }) => sum + length, 0);
  return Buffer.concat([Buffer.from(id), size(bytes), ...content]);
}

function uint(value: number | bigint): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
}

/** What precedes the pictures. Times count in nanoseconds. */
export function matroskaHeader(width: number, height: number, fps: number): Buffer {
  const track = element(
    ID.trackEntry,
    element(ID.trackNumber, uint(1)),
    element(ID.trackUid, uint(1)),
    element(ID.trackType, uint(1)),
    element(ID.codecId, Buffer.from('V_UNCOMPRESSED')),
    element(ID.defaultDuration, uint(Math.round(1e9 / fps))),
    element(
      ID.video,
      element(ID.pixelWidth, uint(width)),
      element(ID.pixelHeight, uint(height)),
      element(ID.colourSpace, Buffer.from('I420')),
    ),
  );
  return Buffer.concat([
    element(ID.ebml, element(ID.docType, Buffer.from('matroska'))),
    Buffer.from(ID.segment),
    UNKNOWN_SIZE,
    element(ID.info, element(ID.timestampScale, uint(1))),
    element(ID.tracks, track),
  ]);
}

/** What precedes one picture of so many bytes, shown at `time` nanoseconds. */
export function pictureHeader(time: bigint, bytes: number): Buffer {
  const timestamp = element(ID.timestamp, uint(time));
  // Track 1, no offset from the cluster's time, a keyframe.
  const block = Buffer.from([0x81, 0, 0, 0x80]);
  const blockHead = Buffer.concat([Buffer.from(ID.simpleBlock), size(block.length + bytes), block]);
  const length = timestamp.length + blockHead.length + bytes;
  return Buffer.concat([Buffer.from(ID.cluster), size(length), timestamp, blockHead]);
}
