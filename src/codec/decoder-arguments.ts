import { CLOCK_RATE } from '../contracts/media.ts';
import type { HardwareDecoder, SourceSpec } from '../contracts/restorer.ts';
import { type FfmpegPort, ffmpegArguments, ffmpegPath, verifiesTls } from './ffmpeg.ts';
import { hardwareArguments } from './hardware-decoder.ts';

/** Luma samples of the largest picture that is decoded (8K has 33 million). */
export const MAX_PIXELS = 36_000_000;

/** Samples per second of the decoded audio, which is stereo. */
export const AUDIO_RATE = 48_000;

/** Microseconds without a byte from the network after which ffmpeg gives up: after our own watchdogs, which say it better. */
const NETWORK_TIMEOUT = '20000000';

/** What a URL of each scheme may lead ffmpeg to open: a playlist or a redirect never reaches a local file. */
const PROTOCOLS: Record<string, string> = {
  rtsp: 'rtsp,rtp,srtp,udp,tcp',
  rtsps: 'rtsp,rtsps,rtp,srtp,udp,tcp,tls',
  rtmp: 'rtmp,tcp',
  rtmps: 'rtmps,tcp,tls',
  srt: 'srt,udp',
  // httpproxy: how TLS goes through the operator's proxy.
  http: 'http,https,httpproxy,tcp,tls,crypto',
  https: 'https,http,httpproxy,tcp,tls,crypto',
  file: 'file',
};
/** The proxy speaks TLS, and its answers name nothing but http URLs. */
const PROXIED_PROTOCOLS = 'http,tcp,crypto';

/** Containers and streams that http(s) may deliver; script-like ones (concat, sdp, dash) are not among them. */
const HTTP_FORMATS = [
  'hls,mpegts,flv,live_flv,matroska,webm,mov,mp4,m4a,3gp,3g2,mj2,ogg,mpeg,avi,asf,nut',
  'mpjpeg,mjpeg,jpeg_pipe,h264,hevc,m4v,mpegvideo,ivf,aac,mp3,wav,flac',
].join(',');

const NETWORK_OPTIONS: Record<string, string[]> = {
  rtsp: [
    // A lost UDP packet is waited for 100 ms at most; the socket holds a large keyframe.
    ...['-timeout', NETWORK_TIMEOUT, '-max_delay', '100000', '-buffer_size', '2097152'],
    // RTP has no decoding times: for those of H.264 seven pictures would be waited for.
    ...['-max_ts_probe', '0'],
  ],
  rtmp: ['-rw_timeout', NETWORK_TIMEOUT, '-rtmp_live', 'live', '-format_whitelist', 'flv,live_flv'],
  srt: ['-timeout', NETWORK_TIMEOUT, '-connect_timeout', '5000', '-format_whitelist', 'mpegts'],
  http: ['-rw_timeout', NETWORK_TIMEOUT, '-format_whitelist', HTTP_FORMATS],
  // Local sources play at their own pace, for ever, as a camera does.
  file: ['-re', '-stream_loop', '-1'],
  lavfi: ['-re', '-f', 'lavfi'],
};

/**
 * Seconds that are looked at to learn what a source contains: a keyframe has to be among them, but RTMP and MPEG-TS
 * never say that no further track will come, so their first picture waits until the time is over.
 */
const ANALYSIS: Record<string, number> = { rtsp: 5, rtmp: 0.5, srt: 3, http: 3 };

/** The scheme of a source URL in lower case, `file` for a plain path. */
export function sourceScheme(url: string): string {
  return /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]?.toLowerCase() ?? 'file';
}

/**
 * The command line of one decoder child. It writes
 * - descriptor 3: I420 pictures, back to back, of the size that the `showinfo@frame` log line before each says;
 * - descriptor 4: a line for every video packet the moment it is demuxed (ffmpeg's framecrc format);
 * - descriptor 5: interleaved stereo s16le at 48 kHz, announced by `ashowinfo@audio` log lines;
 * - descriptor 6, RTSP only: an MP4 whose `prft` boxes say what the camera's clock says (see capture-clock.ts);
 * - stderr: the log those lines are in.
 * It reads `heightCommand`s from its standard input.
 * A container would hold every frame back until the next (Matroska ends a cluster with it, two interleaved streams
 * wait for each other); raw pictures announced in the log come out as they are decoded.
 */
export function decoderArguments(
  spec: SourceSpec,
  height: number | 'auto',
  path: string = ffmpegPath(),
  hardware?: HardwareDecoder,
): string[] {
  const outputs: FfmpegPort[] = [
    {
      url: 'pipe:3',
      options: [
        ...['-map', '0:v:0', '-fps_mode', 'passthrough', '-enc_time_base', `1/${CLOCK_RATE}`],
        // Else what comes after a change of the camera's resolution is scaled to the first size, unannounced.
        ...['-autoscale', '0'],
        ...['-filter:v', videoFilter(height)],
        // More threads, and the "encoder" of raw video holds a frame back.
        ...['-c:v', 'rawvideo', '-threads', '1', '-f', 'rawvideo', '-flush_packets', '1'],
      ],
    },
    {
      url: 'pipe:4',
      options: [
        ...['-map', '0:v:0', '-c', 'copy', '-copyinkf'],
        ...['-f', 'framecrc', '-flush_packets', '1'],
      ],
    },
  ];
  if (spec.audio) outputs.push(audioOutput());
  if (/^rtsps?$/.test(sourceScheme(spec.url))) outputs.push(captureOutput());
  return ffmpegArguments(
    ['-hide_banner', '-nostats', '-loglevel', 'repeat+level+verbose'],
    [
      {
        url: inputUrl(spec.opens ?? spec.url),
        options: [...inputOptions(spec, path), ...(hardware ? hardwareArguments(hardware) : [])],
      },
    ],
    // The source's own titles would be printed with every output.
    outputs.map(({ url, options }) => ({ url, options: [...options, '-map_metadata', '-1'] })),
  );
}

function inputUrl(url: string): string {
  return url.startsWith('lavfi:') ? url.slice('lavfi:'.length) : url;
}

function inputOptions(spec: SourceSpec, path: string): string[] {
  const scheme = sourceScheme(spec.opens ?? spec.url);
  const family = scheme.replace(/^(rtsp|rtmp|http)s$/, '$1');
  const protocols = spec.proxy === undefined ? PROTOCOLS[scheme] : PROXIED_PROTOCOLS;
  return [
    ...(protocols ? ['-protocol_whitelist', protocols] : []),
    ...(NETWORK_OPTIONS[family] ?? []),
    ...(family === 'rtsp' ? ['-rtsp_transport', spec.transport === 'udp' ? 'udp' : 'tcp'] : []),
    // Cameras sign their own certificates.
    ...(/^(rtsps|rtmps|https)$/.test(scheme) && verifiesTls(path) ? ['-tls_verify', '0'] : []),
    // HLS hands over whole segments at once: played at their own pace they make an even stream.
    ...(family === 'http' && /\.m3u8($|[?#])/i.test(spec.url) ? ['-re'] : []),
    ...['-probesize', '2000000', '-analyzeduration', String((ANALYSIS[family] ?? 5) * 1_000_000)],
    // Frame timing is not guessed from the first twenty frames.
    ...['-fpsprobesize', '0'],
    // Slices decode in parallel without delay; frame threads would each hold a frame back.
    ...['-threads', '2', '-thread_type', 'slice', '-max_pixels', String(MAX_PIXELS)],
  ];
}

/** What makes a decoder that runs scale its pictures to another height, between two of them. */
export function heightCommand(height: number): string {
  // Key `c` of ffmpeg's console: a command for the first filter of that kind, at once.
  return `cscale -1 h ${linesExpression(height)}\n`;
}

function linesExpression(height: number | 'auto'): string {
  return `max(2*trunc(${height === 'auto' ? 'ih' : `min(ih,${height})`}/2),16)`;
}

/** Even size, square pixels, limited range, at most `height` lines; each picture announced in the log. */
function videoFilter(height: number | 'auto'): string {
  const lines = linesExpression(height).replaceAll(',', '\\,');
  return [
    'crop@source=w=if(gt(iw\\,1)\\,trunc(iw/2)*2\\,iw):h=if(gt(ih\\,1)\\,trunc(ih/2)*2\\,ih)',
    // The width follows from the height, which can change alone. `init`, the default, makes numbers of both expressions
    // where a frame is not as announced.
    `scale=w=clip(2*round(iw*clip(sar\\,0.25\\,4)*oh/ih/2)\\,16\\,8192):h=${lines}:eval=frame:out_range=tv`,
    'setsar=1',
    'format=yuv420p',
    `settb=1/${CLOCK_RATE}`,
    // What cameras put beside the picture (SEI of any size) would be printed as well.
    'sidedata=delete',
    'showinfo@frame=checksum=0',
  ].join(',');
}

/**
 * The first audio track, if there is one. An output without any stream would end ffmpeg, hence the video track
 * beside it, all of whose packets are dropped, and the tee that lets the audio part be empty.
 */
function audioOutput(): FfmpegPort {
  return {
    url: '[select=v:f=null]-|[select=a:f=s16le:onfail=ignore]pipe:5',
    options: [
      ...['-map', '0:a:0?', '-map', '0:v:0', '-c:v', 'copy', '-bsf:v', 'noise=drop=1'],
      ...['-c:a', 'pcm_s16le', '-ar', String(AUDIO_RATE), '-ac', '2'],
      ...[
        '-filter:a',
        `aresample=${AUDIO_RATE},aformat=sample_fmts=s16:channel_layouts=stereo,asettb=1/${CLOCK_RATE},ashowinfo@audio`,
      ],
      ...['-max_interleave_delta', '1', '-flush_packets', '1', '-f', 'tee'],
    ],
  };
}

/**
 * One packet in 25, each in a fragment of its own, at its own timestamp (an MP4 would begin at 0). What MP4 cannot hold
 * is left out: the tee lets it fail alone.
 */
function captureOutput(): FfmpegPort {
  const movflags = 'frag_every_frame+empty_moov+default_base_moof+skip_trailer';
  return {
    url: `[f=mp4:onfail=ignore:movflags=${movflags}:write_prft=wallclock:avoid_negative_ts=disabled:video_track_timescale=${CLOCK_RATE}]pipe:6`,
    options: [
      ...['-map', '0:v:0', '-c', 'copy', '-bsf:v', 'noise=drop=mod(n\\,25)'],
      ...['-flush_packets', '1', '-f', 'tee'],
    ],
  };
}
