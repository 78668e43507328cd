import type { OtherTrack } from './probe.ts';

/** How ffmpeg calls the containers a result may have, by extension. */
export const CONTAINERS = { mp4: 'mp4', mov: 'mov', mkv: 'matroska', webm: 'webm' } as const;
const NAMES: Record<Container, string> = { mp4: 'MP4', mov: 'MOV', matroska: 'MKV', webm: 'WebM' };
export type Container = (typeof CONTAINERS)[keyof typeof CONTAINERS];

/** What a container holds as it is, by codec, and what the rest becomes. */
interface Rules {
  audio: RegExp;
  audioElse: string;
  text: RegExp;
  textElse: string;
  /** Subtitles that are pictures. */
  images: RegExp;
  cover: RegExp | undefined;
  attachments: boolean;
}

const ISO: Rules = {
  audio: /^(aac|mp3|ac3|eac3|alac|opus|flac|dts|mp2)$/,
  audioElse: 'aac',
  text: /^mov_text$/,
  textElse: 'mov_text',
  images: /^dvd_subtitle$/,
  cover: /^(mjpeg|png)$/,
  attachments: false,
};
const RULES: Record<Container, Rules> = {
  mp4: ISO,
  mov: { ...ISO, audio: /^(aac|mp3|ac3|eac3|alac|mp2|pcm_\w+)$/, images: /^$/ },
  matroska: {
    audio: /./,
    audioElse: 'aac',
    text: /^(subrip|ass|ssa|webvtt)$/,
    textElse: 'srt',
    images: /^(dvd_subtitle|hdmv_pgs_subtitle|dvb_subtitle)$/,
    cover: /^(mjpeg|png)$/,
    attachments: true,
  },
  webm: {
    audio: /^(opus|vorbis)$/,
    audioElse: 'libopus',
    text: /^webvtt$/,
    textElse: 'webvtt',
    images: /^$/,
    cover: undefined,
    attachments: false,
  },
};
const TEXT = /^(subrip|ass|ssa|webvtt|mov_text|text|srt)$/;

export interface TrackPlan {
  /** Output options that map the tracks of input 1 after the video. */
  options: string[];
  /** What does not come over as it was, each a sentence. */
  warnings: string[];
}

/** Which other tracks of a file go into a container: as they are, converted, or (named) not at all. */
export function planTracks(tracks: readonly OtherTrack[], container: Container): TrackPlan {
  const rules = RULES[container];
  const options: string[] = [];
  const warnings: string[] = [];
  let mapped = 1;
  const keep = ({ index }: OtherTrack, codec: string, ...more: string[]) => {
    options.push('-map', `1:${index}`, `-c:${mapped}`, codec, ...more);
    mapped++;
  };
  const leave = ({ index, kind, codec }: OtherTrack) =>
    warnings.push(`Track ${index} (${kind}, ${codec}) was left out: ${NAMES[container]} cannot hold it.`);
  const convert = (track: OtherTrack, codec: string) => {
    keep(track, codec);
    warnings.push(
      `Track ${track.index} (${track.kind}) was converted from ${track.codec} to ${codec}, which ${NAMES[container]} can hold.`,
    );
  };
  for (const track of tracks) {
    const { kind, codec } = track;
    if (kind === 'attachment') {
      if (rules.attachments) keep(track, 'copy');
      else leave(track);
    } else if (codec === 'unknown') leave(track);
    else if (kind === 'audio') {
      if (rules.audio.test(codec)) keep(track, 'copy');
      else convert(track, rules.audioElse);
    } else if (kind === 'subtitle') {
      if (rules.text.test(codec) || rules.images.test(codec)) keep(track, 'copy');
      else if (TEXT.test(codec)) convert(track, rules.textElse);
      else leave(track);
    } else if (kind === 'picture') {
      if (rules.cover?.test(codec)) keep(track, 'copy', `-disposition:${mapped}`, 'attached_pic');
      else leave(track);
      // A chapter list that players read as text; ffmpeg writes it anew from the chapters.
    } else if (codec !== 'bin_data') leave(track);
  }
  return { options, warnings };
}
