import { z } from 'zod';
import { streamSchema } from '../../config/schema.ts';
import { jobListSchema, jobSchema, requestSchema, settingsSchema } from '../restore/schemas.ts';
import {
  loginSchema,
  modelSchema,
  newStreamSchema,
  problemSchema,
  rtmpSchema,
  sessionSchema,
  statusSchema,
  streamPatchSchema,
} from '../schemas.ts';
import * as example from './examples.ts';
import { FILES_PATHS } from './files-paths.ts';
import { GATEWAY_PATHS } from './gateway-paths.ts';
import { type Answer, type Json, type Operation, ref, TEXT } from './operation.ts';

const TAGS: Record<Operation['tag'], string> = {
  streams: 'Cameras: what there is, and changing it',
  play: 'Watching a camera',
  files: 'Restoring a video file',
  session: 'Signing in',
  gateway: 'The gateway itself',
};

/** Parts of paths that mean the same everywhere. */
const PATH_PARAMETERS: Record<string, Json> = {
  name: { ...TEXT, description: 'name of the stream', examples: ['gate'] },
  id: { ...TEXT, description: 'as the URLs in answers have it' },
  n: { type: 'integer', minimum: 0, description: 'number of the frame, from 0', examples: [0] },
  file: { ...TEXT, description: 'as the playlist names it' },
  rendition: { ...TEXT, description: 'as the multivariant playlist names it' },
};

function component<S extends z.ZodType>(schema: S, ...examples: z.input<S>[]): Json {
  const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: 'input' });
  return { ...rest, ...(examples.length > 0 ? { examples } : {}) };
}

function parameters(path: string, { query = {}, headers = {} }: Operation): Json[] {
  const named = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    in: 'path',
    name,
    required: true,
    schema: PATH_PARAMETERS[name!] ?? TEXT,
  }));
  const of = (place: string, known: Json) =>
    Object.entries(known).map(([name, schema]) => ({ in: place, name, schema }));
  return [...named, ...of('query', query), ...of('header', headers)];
}

function response({ says, content, headers = {} }: Answer): Json {
  const described = Object.entries(headers).map(([name, description]) => [
    name,
    { description, schema: TEXT },
  ]);
  return {
    description: says,
    ...(described.length > 0 ? { headers: Object.fromEntries(described) } : {}),
    ...(content ? { content } : {}),
  };
}

function operation(path: string, method: string, operation: Operation): Json {
  const { tag, summary, description, body, answers, open = false } = operation;
  const responses = Object.entries(answers).map(([status, answer]) => [status, response(answer)]);
  const problem = { $ref: '#/components/responses/Problem' };
  return {
    tags: [tag],
    operationId: `${method}${path.replaceAll(/[^A-Za-z]+(\w?)/g, (_, next: string) => next.toUpperCase())}`,
    summary,
    ...(description === undefined ? {} : { description }),
    ...(open ? { security: [] } : {}),
    parameters: parameters(path, operation),
    ...(body ? { requestBody: { required: true, content: body } } : {}),
    responses: { ...Object.fromEntries(responses), '4XX': problem, '5XX': problem },
  };
}

/** The whole HTTP API as an OpenAPI 3.1 document; schemas come from the ones that check requests. */
export function openapi(): Json & {
  paths: Record<string, Record<string, Json>>;
  components: Json & { schemas: Record<string, Json> };
} {
  const paths = Object.entries({ ...GATEWAY_PATHS, ...FILES_PATHS }).map(([path, operations]) => [
    path,
    Object.fromEntries(
      Object.entries(operations).map(([method, one]) => [method, operation(path, method, one)]),
    ),
  ]);
  const settings = component(settingsSchema);
  return {
    openapi: '3.1.0',
    info: {
      title: 'Clearway',
      version: '1',
      description:
        'Real-time stream restoration gateway. Errors are problem+json (RFC 9457) with a stable `code`.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    servers: [{ url: '/', description: 'the gateway that this document came from' }],
    tags: Object.entries(TAGS).map(([name, description]) => ({ name, description })),
    security: [{ bearer: [] }, { basic: [] }, { cookie: [] }, {}],
    paths: Object.fromEntries(paths),
    components: {
      schemas: {
        Stream: component(statusSchema, example.stream),
        NewStream: component(newStreamSchema, example.newStream),
        StreamSettings: component(streamSchema),
        StreamPatch: component(streamPatchSchema, { strength: 0.8 }),
        Model: component(modelSchema, example.model),
        Rtmp: component(rtmpSchema, example.rtmp),
        Job: component(jobSchema, example.job),
        JobList: component(jobListSchema, example.jobList),
        RestoreRequest: component(requestSchema, example.restoreRequest),
        RestoreForm: {
          ...settings,
          description: 'The file, and settings as text',
          properties: {
            file: { type: 'string', contentMediaType: 'application/octet-stream', description: 'the video' },
            ...(settings.properties as Json),
          },
          required: ['file'],
        },
        Login: component(loginSchema, { user: 'operator', password: 'correct horse battery staple' }),
        Session: component(sessionSchema, example.session),
        Problem: component(problemSchema, example.problem),
      },
      responses: {
        Problem: {
          description: 'What went wrong and what to do about it',
          content: { 'application/problem+json': { schema: ref('Problem') } },
        },
      },
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        basic: { type: 'http', scheme: 'basic' },
        cookie: { type: 'apiKey', in: 'cookie', name: 'clearway_session' },
      },
    },
  };
}
