/** What a stream is published as. `compare` is source and restored side by side (source left) in one picture. */
export const RENDITIONS = ['restored', 'source', 'compare'] as const;
export type Rendition = (typeof RENDITIONS)[number];

/** Ticks per second of every timestamp that leaves the restorer (the RTP video clock of RFC 6184). */
export const CLOCK_RATE = 90_000;

/**
 * One encoded H.264 picture (constrained baseline, no B-frames).
 * The output clock is Unix time in 90 kHz ticks (a safe integer), monotonic within a stream, and starts at the
 * arrival of the first frame, so `pts / 90` is the Unix time in ms at which the frame arrived at the gateway, give
 * or take network jitter. DTS = PTS, strictly increasing within a rendition.
 */
export interface AccessUnit {
  rendition: Rendition;
  /** Annex B, four-byte start codes; SPS and PPS precede every IDR picture. */
  data: Uint8Array;
  /** Output clock, 90 kHz ticks. */
  pts: number;
  /** IDR picture. */
  key: boolean;
  width: number;
  height: number;
  /** Unix time in ms when the frame's packet arrived from the camera. */
  arrival: number;
  /** Unix time in ms when the encoder gave it. */
  encoded: number;
  /** Whether the network restored this frame, or it went out unrestored to meet its deadline. */
  outcome: 'restored' | 'passthrough';
}

export type AudioCodec = 'opus' | 'aac';

/** One encoded audio packet, on the same output clock as the video. 48 kHz stereo in both codecs. */
export interface AudioPacket {
  codec: AudioCodec;
  /** Opus: one RFC 7587 payload (20 ms). AAC: one raw AAC-LC frame (1024 samples), no ADTS. */
  data: Uint8Array;
  /** Output clock, 90 kHz ticks. */
  pts: number;
  /** 90 kHz ticks. */
  duration: number;
}

/** AAC-LC, 48 kHz, stereo: the two-byte AudioSpecificConfig (ISO 14496-3) of every AAC packet Clearway makes. */
export const AAC_CONFIG = new Uint8Array([0x11, 0x90]);
