import { execFileSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { configJsonSchema } from '../src/config/explain.ts';

/** Writes config/clearway.schema.json, which editors check and complete clearway.yml by. */
const target = fileURLToPath(new URL('../config/clearway.schema.json', import.meta.url));
const biome = fileURLToPath(new URL('../node_modules/.bin/biome', import.meta.url));
// By way of stdin: lint, and so biome's list of files, leaves config/ alone.
const input = JSON.stringify(configJsonSchema());
await writeFile(target, execFileSync(biome, ['format', '--stdin-file-path=schema.json'], { input }));
