import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { ClearwayError } from '../contracts/errors.ts';

const name = z.string().regex(/^[a-z0-9][a-z0-9_-]{0,63}$/i);

const file = z.string().regex(/^[A-Za-z0-9._-]+\.onnx$/, 'name a .onnx file in the same directory');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, 'give the 64 hex digits of the file');

const common = {
  name,
  version: z.string().min(1),
  licence: z.string().min(1),
  description: z.string().min(1),
  /** The graph's file, beside the manifest. */
  file,
  sha256,
  scale: z.union([z.literal(1), z.literal(2)]),
  /** Width and height are padded to multiples of this; even, so that chroma planes stay whole. */
  alignment: z.number().int().min(2).max(256).multipleOf(2),
  color: z.strictObject({ range: z.enum(['limited', 'full']), matrix: z.enum(['bt709', 'bt601']) }),
  provenance: z.record(z.string(), z.unknown()),
};

/**
 * `models/<name>/model.json`. A restorer takes `frame_0..frame_{T-1}` (T = past + 1 + future, oldest first), uint8
 * [1, 1, H * 3 / 2, W] planar I420, `strength` float32 [1], and its `state` tensors float32 [1, channels, H /
 * divisor, W / divisor]; it gives `restored` uint8 [1, 1, scale * H * 3 / 2, scale * W] and the next states. `half`
 * is the same network in half precision for GPUs: weights, arithmetic and state tensors float16, the rest as above.
 * A smoother takes `restored`, `previous`, `strength` and `reset` float32 [1] and gives `smoothed`.
 */
const manifestSchema = z
  .discriminatedUnion('kind', [
    z.strictObject({
      kind: z.literal('restorer'),
      ...common,
      half: z.strictObject({ file, sha256 }).optional(),
      window: z.strictObject({
        past: z.number().int().min(0).max(16),
        future: z.number().int().min(0).max(1),
      }),
      state: z
        .array(
          z.strictObject({
            input: z.string().min(1),
            output: z.string().min(1),
            channels: z.number().int().min(1).max(1024),
            divisor: z.number().int().min(1).max(64),
          }),
        )
        .max(8),
    }),
    z.strictObject({ kind: z.literal('smoother'), ...common }),
  ])
  .superRefine((manifest, context) => {
    if (manifest.kind !== 'restorer') return;
    // Else a picture of the right alignment could end in the middle of a state's cell.
    for (const [at, { divisor }] of manifest.state.entries()) {
      if (manifest.alignment % divisor === 0) continue;
      const path = ['state', at, 'divisor'];
      context.addIssue({ code: 'custom', path, message: 'must divide the alignment' });
    }
  });

export type Manifest = z.output<typeof manifestSchema>;
export type RestorerManifest = Extract<Manifest, { kind: 'restorer' }>;

/** A model's files, read and checked against each other; the graph itself is checked when it is opened. */
export interface ModelFiles {
  manifest: Manifest;
  graph: Uint8Array;
  /** The graph in half precision, where the model has one. */
  half?: Uint8Array;
}

/** Larger files are not models this gateway could run in real time. */
const MAX_GRAPH = 512 << 20;

/** The error for a model that does not meet the contract, with what is wrong. */
export function refused(model: string, what: string, cause?: unknown): ClearwayError {
  return new ClearwayError('CLEARWAY_MODEL_INVALID', `Model ${model} is refused: ${what}.`, {
    status: 400,
    cause,
  });
}

/** Reads `directory/model`. Throws CLEARWAY_MODEL_NOT_FOUND or CLEARWAY_MODEL_INVALID with what is wrong. */
export async function readModel(directory: string, model: string): Promise<ModelFiles> {
  if (!name.safeParse(model).success) throw refused(model, 'its name must be letters, digits, - or _');
  const manifestPath = join(directory, model, 'model.json');
  let text: string;
  try {
    text = await readFile(manifestPath, 'utf8');
  } catch (cause) {
    throw new ClearwayError(
      'CLEARWAY_MODEL_NOT_FOUND',
      `There is no model ${model}: ${manifestPath} cannot be read.`,
      {
        status: 400,
        cause,
      },
    );
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw refused(model, `model.json is not JSON (${(cause as Error).message})`, cause);
  }
  const parsed = manifestSchema.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0]!;
    throw refused(model, `model.json, ${issue.path.join('.') || 'top level'}: ${issue.message}`);
  }
  const manifest = parsed.data;
  if (manifest.name !== model)
    throw refused(model, `model.json calls it ${manifest.name}; the directory's name must match`);
  const graph = await readGraph(directory, model, manifest);
  const half = manifest.kind === 'restorer' && manifest.half;
  return half ? { manifest, graph, half: await readGraph(directory, model, half) } : { manifest, graph };
}

async function readGraph(
  directory: string,
  model: string,
  { file, sha256 }: { file: string; sha256: string },
): Promise<Uint8Array> {
  const path = join(directory, model, file);
  const size = (await stat(path).catch(() => undefined))?.size;
  if (size === undefined) throw refused(model, `${file} is missing`);
  if (size > MAX_GRAPH) throw refused(model, `${file} is larger than ${MAX_GRAPH >> 20} MiB`);
  const graph = await readFile(path);
  const found = createHash('sha256').update(graph).digest('hex');
  if (found !== sha256) throw refused(model, `${file} has sha256 ${found}, the manifest says ${sha256}`);
  return graph;
}

/** Names of the model directories: those with a model.json. */
export async function listModels(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { withFileTypes: true }).catch(() => []);
  const names: string[] = [];
  for (const entry of entries) {
    if (!entry.isDirectory()) continue;
    if (await stat(join(directory, entry.name, 'model.json')).catch(() => undefined)) names.push(entry.name);
  }
  return names.sort();
}
