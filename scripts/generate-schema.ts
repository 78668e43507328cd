import { writeFile } from 'node:fs/promises';
import { configJsonSchema } from '../src/config/explain.ts';

/** Writes config/clearway.schema.json, which editors check and complete clearway.yml by. */
const target = new URL('../config/clearway.schema.json', import.meta.url);
await writeFile(target, `${JSON.stringify(configJsonSchema(), null, 2)}\n`);
