import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** An `nvidia-smi` of our own in a directory: no GPU, and no driver that hangs or dies, can be had in a test. */
export async function fakeNvidiaSmi(directory: string, script: string): Promise<string> {
  const command = join(directory, 'nvidia-smi');
  await writeFile(command, `#!/bin/sh\n${script}\n`);
  await chmod(command, 0o755);
  return command;
}
