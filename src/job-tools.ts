import { frameJpeg, frameTimes } from './codec/file/frames.ts';
import { probeVideo } from './codec/file/probe.ts';
import { planTracks } from './codec/file/tracks.ts';
import type { ModelInfo } from './contracts/control.ts';
import { openRemoteFile } from './ingest/remote-file.ts';
import type { JobTools, Looked } from './jobs/service.ts';
import { FileDesk } from './streams/file-desk.ts';
import type { RestorerPool } from './streams/restorer-pool.ts';

export interface JobToolsOptions {
  restorer: RestorerPool;
  models(): ModelInfo[];
  allowedHosts: readonly string[];
}

/** What restoring files needs of the rest of the gateway. */
export function createJobTools({ restorer, models, allowedHosts }: JobToolsOptions): JobTools {
  const desk = new FileDesk(restorer);
  return {
    models,
    look,
    frameTimes,
    frameJpeg,
    fetch: (url, signal) => openRemoteFile(url, { allowedHosts, signal }),
    restore: (request, options) => desk.restore(request, options),
  };
}

async function look(path: string): Promise<Looked> {
  const { container, duration, video, others } = await probeVideo(path);
  const { codec, width, height, fps, frames } = video;
  return {
    input: {
      container,
      codec,
      width,
      height,
      hasAudio: others.some(({ kind }) => kind === 'audio'),
      ...(duration === undefined ? {} : { duration }),
      ...(fps === undefined ? {} : { fps }),
      ...(frames === undefined ? {} : { frames }),
    },
    fitsMp4: planTracks(others, 'mp4').warnings.length === 0,
  };
}
