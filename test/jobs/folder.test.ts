import assert from 'node:assert/strict';
import { it } from 'node:test';
import { JobFolder } from '../../src/jobs/folder.ts';
import { temporaryDirectory } from '../support/ffmpeg.ts';

it('a refusal for want of room names what the disk has and what jobs.minFree keeps of it', async () => {
  await using directory = await temporaryDirectory();
  const folder = await JobFolder.open(directory.path, { minFree: 2 ** 60 });
  await assert.rejects(folder.ensureRoom(64_811), {
    code: 'CLEARWAY_DISK_FULL',
    message: /has [\d.]+ [GT]iB free, of which jobs\.minFree keeps 1048576 TiB: no room for 63\.3 KiB more\./,
  });
});
