import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { ffprobePath } from '../../src/codec/file/opening.ts';

export interface ProbedStream {
  codec_type: string;
  codec_name: string;
  width?: number;
  height?: number;
  nb_read_packets?: string;
  tags?: Record<string, string>;
  disposition?: Record<string, number>;
  side_data_list?: Record<string, unknown>[];
  [key: string]: unknown;
}

export interface Probed {
  format: { format_name: string; duration?: string; start_time?: string; tags?: Record<string, string> };
  streams: ProbedStream[];
  chapters: { start_time: string; end_time: string; tags?: { title?: string } }[];
}

/** What ffprobe says of a file, packets counted. */
export async function ffprobe(file: string): Promise<Probed> {
  const { stdout } = await promisify(execFile)(
    ffprobePath(),
    ['-v', 'error', '-count_packets', '-show_format', '-show_streams', '-show_chapters', '-of', 'json', file],
    { maxBuffer: 16 << 20 },
  );
  return JSON.parse(stdout) as Probed;
}

/** Hashes of the packets of one stream, in order: what was copied has the same. */
export async function packetHashes(file: string, stream: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(
    ffprobePath(),
    [
      ...['-v', 'error', '-select_streams', stream, '-show_packets', '-show_data_hash', 'md5'],
      ...['-show_entries', 'packet=data_hash', '-of', 'csv=p=0', file],
    ],
    { maxBuffer: 16 << 20 },
  );
  return stdout.match(/MD5:\w+/g) ?? [];
}
