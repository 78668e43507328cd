import { frameJpeg, frameTimes } from './codec/file/frames.ts';
import { probeVideo } from './codec/file/probe.ts';
import { planTracks } from './codec/file/tracks.ts';
import { openRemoteFile } from './ingest/remote-file.ts';
import type { InstalledModel } from './jobs/identity.ts';
import type { JobTools, Looked } from './jobs/tools.ts';
import { listModels, readModel } from './restore/manifest.ts';
import { FileDesk } from './streams/file-desk.ts';
import type { RestorerPool } from './streams/restorer-pool.ts';

export interface JobToolsOptions {
  restorer: RestorerPool;
  /** Directory of the models. */
  models: string;
  allowedHosts: readonly string[];
}

/** What restoring files needs of the rest of the gateway. */
export async function createJobTools({ restorer, models, allowedHosts }: JobToolsOptions): Promise<JobTools> {
  const desk = new FileDesk(restorer);
  return {
    // Read here: the restorer, which knows them too, may still be opening them when the first request comes.
    models: await installed(models),
    look,
    frameTimes,
    frameJpeg,
    fetch: (url, signal) => openRemoteFile(url, { allowedHosts, signal }),
    restore: (request, options) => desk.restore(request, options),
  };
}

async function look(path: string): Promise<Looked> {
  const { container, duration, video, others } = await probeVideo(path);
  const { codec, width, height, sampleAspect, fps, frames } = video;
  const [across, down] = sampleAspect;
  return {
    input: {
      container,
      codec,
      width,
      height,
      hasAudio: others.some(({ kind }) => kind === 'audio'),
      ...(across === down ? {} : { sampleAspect: across / down }),
      ...(duration === undefined ? {} : { duration }),
      ...(fps === undefined ? {} : { fps }),
      ...(frames === undefined ? {} : { frames }),
    },
    fitsMp4: planTracks(others, 'mp4').warnings.length === 0,
  };
}

/** The models that meet the contract. */
async function installed(directory: string): Promise<InstalledModel[]> {
  const names = await listModels(directory);
  const found = await Promise.all(
    names.map(async (name): Promise<InstalledModel | undefined> => {
      const model = await readModel(directory, name).catch(() => undefined);
      return model && { name, kind: model.manifest.kind, identity: model.manifest.sha256 };
    }),
  );
  return found.filter((model) => model !== undefined);
}
