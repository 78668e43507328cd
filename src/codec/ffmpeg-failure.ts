import { ClearwayError, type ErrorCode } from '../contracts/errors.ts';
import type { SourceSpec } from '../contracts/restorer.ts';
import { redact } from '../telemetry/redact.ts';
import { sourceScheme } from './decoder-arguments.ts';
import type { ChildExit } from './ffmpeg-child.ts';

interface Rule {
  pattern: RegExp;
  /** Of the source's URL; any when absent. */
  schemes?: RegExp;
  code: ErrorCode;
  retryable: boolean;
  /** What is the matter and what to do; follows the source's URL. SAID is the pattern's group of that name. */
  says: string;
}

/** In order: the first that fits names the failure. The patterns are ffmpeg's own words, 5.1 to 8. */
const RULES: Rule[] = [
  {
    // The words of ingest/source-proxy.ts.
    pattern: /leads to a link-local or cloud metadata address/,
    code: 'CLEARWAY_URL_REFUSED',
    retryable: true,
    says: 'leads to a link-local or cloud metadata address, where nothing is fetched: give the URL of the video itself',
  },
  {
    pattern: /\b(401|403)\b.*(unauthori[sz]ed|forbidden)|authorization failed|access denied/i,
    code: 'CLEARWAY_SOURCE_UNAUTHORIZED',
    retryable: true,
    says: 'refused the credentials: check user and password in the URL',
  },
  {
    pattern: /\b404\b.*not found|\b454\b|stream not found|NetStream\.Play\.StreamNotFound|No such file/i,
    code: 'CLEARWAY_SOURCE_NOT_FOUND',
    retryable: true,
    says: 'has no such stream: check the path of the URL',
  },
  {
    pattern: /Failed to resolve hostname|Name or service not known|No address associated/i,
    code: 'CLEARWAY_SOURCE_UNREACHABLE',
    retryable: true,
    says: 'cannot be reached: its host name is unknown; check the spelling and the DNS server',
  },
  {
    pattern: /Connection refused/i,
    code: 'CLEARWAY_SOURCE_UNREACHABLE',
    retryable: true,
    says: 'cannot be reached: nothing listens on that port; check that the camera is on and the port is right',
  },
  {
    // In the words of ingest/source-proxy.ts, GnuTLS and OpenSSL.
    pattern: /speaks no TLS|unexpected TLS packet|wrong version number|packet length too long/i,
    code: 'CLEARWAY_SOURCE_UNREACHABLE',
    retryable: true,
    says: 'does not speak TLS on that port: write the URL with http, rtsp or rtmp, or with the port that does',
  },
  {
    pattern: /No route to host|Network is unreachable|Connection setup failure/i,
    code: 'CLEARWAY_SOURCE_UNREACHABLE',
    retryable: true,
    says: 'cannot be reached from here: check the address and the network between',
  },
  {
    pattern: /Picture size \d+x\d+ (?:is invalid|exceeds)|exceeds specified max pixel count/i,
    code: 'CLEARWAY_PICTURE_SIZE',
    retryable: true,
    says: 'sends a picture larger than the 36 megapixels that are decoded: lower the camera resolution',
  },
  {
    pattern: /Stream map '0:v:0' matches no streams|Stream map '' matches no streams/i,
    code: 'CLEARWAY_SOURCE_NO_VIDEO',
    retryable: true,
    says: 'has no video track, only audio or data: choose another stream of the camera',
  },
  {
    pattern: /Decoder .*not found|Unknown decoder|No decoder|Decoding requested, but no decoder/i,
    code: 'CLEARWAY_SOURCE_UNSUPPORTED',
    retryable: false,
    says: 'uses a codec this ffmpeg cannot decode: set the camera to H.264, H.265 or MJPEG',
  },
  {
    pattern:
      // The second in the words of ingest/source-answer.ts.
      /Protocol .*not on whitelist|leads to what is not HTTP|Format not on whitelist|not in allowed_extensions|Protocol not found/i,
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    retryable: false,
    says: 'does not deliver video of its own (a picture, or a playlist or script that leads elsewhere): give the URL of the video',
  },
  {
    pattern: /timed? ?out/i,
    code: 'CLEARWAY_SOURCE_UNREACHABLE',
    retryable: true,
    says: 'does not answer: check that the camera is on and reachable from here',
  },
  {
    pattern: /Could not find codec parameters|unspecified size|Invalid data found|moov atom not found/i,
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    retryable: true,
    says: 'does not send video that can be read: check that the URL is of a video stream',
  },
  {
    pattern: /(?:Server returned|HTTP error|method \w+ failed:) (?<said>[45]\d\d(?: [a-z][a-z ]{0,40})?)/i,
    code: 'CLEARWAY_SOURCE_UNREACHABLE',
    retryable: true,
    says: 'answered with an error (SAID): look at the camera',
  },
  {
    // All that ffmpeg 9 says of a web page.
    pattern: /Error opening input: Input\/output error/i,
    schemes: /^https?$/,
    code: 'CLEARWAY_SOURCE_NOT_VIDEO',
    retryable: true,
    says: 'does not send video that can be read: check that the URL is of a video stream',
  },
  {
    pattern: /Connection reset|Broken pipe|Input\/output error|Error opening input|Cannot open connection/i,
    code: 'CLEARWAY_SOURCE_UNREACHABLE',
    retryable: true,
    says: 'broke the connection off: look at the camera and the network',
  },
];

/**
 * Names why a decoder child ended, from the warnings and errors of its log (oldest first) and its exit.
 * `frames` had come out before: what goes wrong after the first is an end, not a refusal.
 */
export function classifyFailure(
  stderr: readonly string[],
  exit: ChildExit,
  spec: SourceSpec,
  frames = 0,
): ClearwayError {
  const where = redact(spec.url);
  const scheme = sourceScheme(spec.url);
  if (exit.error) {
    return new ClearwayError(
      'CLEARWAY_FFMPEG_MISSING',
      'ffmpeg could not be started: install ffmpeg 5.1 or later or set FFMPEG_PATH',
      { cause: exit.error },
    );
  }
  const details = redact(stderr.slice(-3).join('; '));
  if (frames === 0) {
    const text = stderr.join('\n');
    const rule = RULES.find(
      ({ pattern, schemes }) => pattern.test(text) && (!schemes || schemes.test(scheme)),
    );
    if (rule) {
      const said = rule.pattern.exec(text)?.groups?.said?.trim() ?? '';
      return new ClearwayError(rule.code, `${where} ${rule.says.replace('SAID', said)}`, {
        retryable: rule.retryable,
        cause: details,
      });
    }
    if (exit.code !== 0) {
      return new ClearwayError(
        'CLEARWAY_SOURCE_NOT_VIDEO',
        `${where} could not be opened as video${details ? ` (${details})` : ''}: check the URL`,
        { retryable: true },
      );
    }
  }
  if (frames === 1 && exit.code === 0 && /^https?$/.test(scheme)) {
    return new ClearwayError(
      'CLEARWAY_SOURCE_NOT_VIDEO',
      `${where} sent one picture and no more: give the URL of the video, not of a snapshot`,
      { retryable: true, cause: details },
    );
  }
  const how = exit.signal ? `the decoder was killed by ${exit.signal}` : 'the source ended the stream';
  return new ClearwayError(
    'CLEARWAY_SOURCE_ENDED',
    scheme === 'file' || scheme === 'lavfi'
      ? `${where} came to its end`
      : `${where}: ${how}; it is tried again`,
    { retryable: true, cause: details },
  );
}

/** An audio track was not understood, and for want of its decoder ffmpeg gave up. */
const UNDECODABLE_AUDIO = /for stream \d+ \(Audio: [\s\S]*(?:no decoder|decoder .*not found)/i;

/**
 * What to try at once instead of waiting for the next retry: UDP where a server refuses RTSP over TCP, no audio where
 * the audio cannot be decoded. Undefined when nothing else is worth trying.
 */
export function alternative(stderr: readonly string[], spec: SourceSpec): SourceSpec | undefined {
  const text = stderr.join('\n');
  if (
    spec.transport === 'auto' &&
    /^rtsps?$/.test(sourceScheme(spec.url)) &&
    /failed: 461|Unsupported transport|Nonmatching transport/i.test(text)
  ) {
    return { ...spec, transport: 'udp' };
  }
  if (spec.audio && UNDECODABLE_AUDIO.test(text)) return { ...spec, audio: false };
  return undefined;
}
