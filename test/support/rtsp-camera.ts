import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { readLines } from '../../src/codec/lines.ts';

export interface RtspCameraOptions {
  codec?: 'h264' | 'h265' | 'mjpeg';
  width?: number;
  height?: number;
  rate?: number;
  bframes?: number;
  /** Frames from keyframe to keyframe. */
  gop?: number;
  /** kbit/s of H.264 and H.265. */
  bitrate?: number;
  audio?: 'aac' | 'alaw' | 'mulaw' | 'opus';
  /** Makes the camera refuse clients that do not give both. */
  auth?: { user: string; password: string };
  /** The only transport it offers; both when absent. */
  protocols?: 'tcp' | 'udp';
  /** PEM file with certificate and key: serves rtsps. */
  cert?: string;
  /** Pattern of GStreamer's videotestsrc. */
  pattern?: string;
  /** A whole GStreamer launch line, payloaders named pay0 and pay1, instead of all of the above. */
  launch?: string;
  /** To come back where it was. */
  port?: number;
}

export interface RtspCamera extends AsyncDisposable {
  readonly port: number;
  /** With credentials, if it wants any. */
  readonly url: string;
  /** Clients connected now. */
  readonly clients: number;
  /** Resolves when so many clients are connected. */
  connected(clients: number): Promise<void>;
  /** Pulls the plug: the process is killed where it stands. */
  kill(): Promise<void>;
}

/** A real RTSP camera on loopback (Debian's gst-rtsp-server) until disposed. */
export async function startRtspCamera(options: RtspCameraOptions = {}): Promise<RtspCamera> {
  const { auth, cert, protocols, port } = options;
  const child = spawn(
    '/usr/bin/python3',
    [
      fileURLToPath(new URL('rtsp-camera.py', import.meta.url)),
      JSON.stringify({ launch: launchLine(options), ...auth, cert, protocols, port }),
    ],
    { stdio: ['pipe', 'pipe', 'pipe'] },
  );
  const exited = once(child, 'exit');
  const events = new EventEmitter<{ said: [] }>();
  let log = '';
  let bound: number | undefined;
  let clients = 0;
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    log = (log + text).slice(-4000);
  });
  readLines(child.stdout, (line) => {
    const said = JSON.parse(line) as { port?: number; clients?: number };
    bound = said.port ?? bound;
    clients = said.clients ?? clients;
    events.emit('said');
  });
  child.stdin.on('error', () => {});

  async function stop(signal?: NodeJS.Signals): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) {
      if (signal) child.kill(signal);
      else child.stdin.end();
    }
    await exited;
  }
  while (bound === undefined) {
    const first = await Promise.race([once(events, 'said'), exited.then(() => 'exited' as const)]);
    if (first === 'exited') throw new Error(`the RTSP camera did not start: ${log}`);
  }
  const login = auth ? `${auth.user}:${auth.password}@` : '';
  return {
    port: bound,
    url: `${cert ? 'rtsps' : 'rtsp'}://${login}127.0.0.1:${bound}/live`,
    get clients() {
      return clients;
    },
    async connected(wanted) {
      while (clients !== wanted) await once(events, 'said');
    },
    kill: () => stop('SIGKILL'),
    // SIGKILL: gst-rtsp-server may wait for its clients to say goodbye.
    [Symbol.asyncDispose]: () => stop('SIGKILL'),
  };
}

function launchLine(options: RtspCameraOptions): string {
  if (options.launch) return options.launch;
  const {
    codec = 'h264',
    width = 320,
    height = 240,
    rate = 25,
    bframes = 0,
    gop = 25,
    bitrate = 1000,
  } = options;
  const raw = `videotestsrc is-live=true pattern=${options.pattern ?? 'ball'} ! video/x-raw,format=I420,width=${width},height=${height},framerate=${rate}/1 ! queue`;
  const encoded = {
    h264: `x264enc speed-preset=ultrafast ${bframes ? `bframes=${bframes} b-adapt=false` : 'tune=zerolatency'} threads=1 key-int-max=${gop} bitrate=${bitrate} ! video/x-h264,profile=${bframes ? 'main' : 'constrained-baseline'} ! rtph264pay name=pay0 pt=96 config-interval=-1`,
    h265: `x265enc speed-preset=ultrafast tune=zerolatency key-int-max=${gop} bitrate=${bitrate} option-string=pools=1:log-level=0 ! h265parse ! rtph265pay name=pay0 pt=96 config-interval=-1`,
    mjpeg: 'jpegenc quality=80 ! rtpjpegpay name=pay0 pt=26',
  }[codec];
  const tone = 'audiotestsrc is-live=true wave=sine freq=440 ! audioconvert ! audioresample';
  const audio =
    options.audio &&
    {
      aac: `${tone} ! audio/x-raw,rate=48000,channels=2 ! avenc_aac ! aacparse ! rtpmp4gpay name=pay1 pt=97`,
      alaw: `${tone} ! audio/x-raw,rate=8000,channels=1 ! alawenc ! rtppcmapay name=pay1 pt=8`,
      mulaw: `${tone} ! audio/x-raw,rate=8000,channels=1 ! mulawenc ! rtppcmupay name=pay1 pt=0`,
      opus: `${tone} ! audio/x-raw,rate=48000,channels=2 ! opusenc ! rtpopuspay name=pay1 pt=97`,
    }[options.audio];
  return `( ${raw} ! ${encoded} ${audio ?? ''} )`;
}
