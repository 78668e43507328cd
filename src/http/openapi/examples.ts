import type { z } from 'zod';
import type { jobListSchema, jobSchema, requestSchema } from '../restore/schemas.ts';
import type {
  modelSchema,
  newStreamSchema,
  problemSchema,
  rtmpSchema,
  sessionSchema,
  statusSchema,
} from '../schemas.ts';

export const stream: z.input<typeof statusSchema> = {
  name: 'gate',
  title: 'Front gate',
  state: 'live',
  cause: 'the picture is there',
  since: '2026-11-26T08:00:00.000Z',
  reconnects: 0,
  source: 'rtsp://***@192.168.1.20/stream1',
  onDemand: false,
  input: { width: 1920, height: 1080, codec: 'h264', fps: 25, hasAudio: true, bitrate: 3_100_000 },
  restoration: {
    model: 'lite',
    provider: 'cpu',
    width: 960,
    height: 540,
    strength: 1,
    smoothing: 0.5,
    reason: 'the most this host sustains',
    step: 0,
  },
  encoders: { restored: 'software' },
  fps: 25,
  frames: { restored: 9000, passthrough: 12, dropped: 0 },
  latency: { total: { p50: 41, p95: 58, max: 90 } },
  viewers: { webrtc: 2, hls: 0 },
};

export const newStream: z.input<typeof newStreamSchema> = {
  name: 'gate',
  title: 'Front gate',
  source: 'rtsp://user:password@192.168.1.20/stream1',
};

export const model: z.input<typeof modelSchema> = {
  name: 'lite',
  kind: 'restorer',
  description: 'Light network for live streams',
  version: '1.0.0',
  window: { past: 1, future: 0 },
};

export const rtmp: z.input<typeof rtmpSchema> = { enabled: true, host: '0.0.0.0', port: 1935 };

export const session: z.input<typeof sessionSchema> = {
  auth: true,
  user: { name: 'operator', role: 'admin', streams: ['*'], files: true },
};

const JOB = '/restore/jobs/e77fcbab6ba7545f69257c9768c33302';

export const job: z.input<typeof jobSchema> = {
  id: 'e77fcbab6ba7545f69257c9768c33302',
  name: 'holiday.mp4',
  state: 'running',
  owner: 'operator',
  created: '2026-11-26T08:00:00.000Z',
  started: '2026-11-26T08:00:01.000Z',
  attempts: 1,
  settings: {
    target_resolution: '1080p',
    denoise_strength: 0.8,
    model: 'auto',
    smoothing: 0.5,
    codec: 'h264',
    container: 'mp4',
  },
  input: {
    bytes: 48_000_000,
    container: 'mov,mp4,m4a,3gp,3g2,mj2',
    codec: 'h264',
    width: 1280,
    height: 720,
    hasAudio: true,
    duration: 60,
    fps: 25,
    frames: 1500,
  },
  progress: { stage: 'restoring', frames: 300, total: 1500, fps: 31.5, left: 38 },
  urls: {
    self: JOB,
    video: `${JOB}/video`,
    frames: `${JOB}/frames`,
    compare: '/files/e77fcbab6ba7545f69257c9768c33302',
  },
};

export const jobList: z.input<typeof jobListSchema> = {
  jobs: [job],
  limits: { maxUpload: 4_294_967_296, maxDuration: 14_400, urls: true },
};

export const restoreRequest: z.input<typeof requestSchema> = {
  url: 'https://media.example/holiday.mp4',
  target_resolution: '1080p',
  denoise_strength: 0.8,
};

export const problem: z.input<typeof problemSchema> = {
  type: 'about:blank',
  title: 'Unprocessable Entity',
  status: 422,
  code: 'CLEARWAY_SOURCE_NOT_VIDEO',
  detail: 'The file cannot be read as video: its index is missing: the file was cut off.',
  instance: '/restore/video',
  retryable: false,
};
