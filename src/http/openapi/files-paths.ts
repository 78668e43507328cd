import { JOB_RENDITIONS } from '../../contracts/jobs.ts';
import { BINARY, body, JSON_TYPE, type Json, json, type Paths, ref, TEXT } from './operation.ts';

const VIDEO = 'video/mp4';
const LOCATION = { Location: 'the job' };
const rendition: Json = { rendition: { type: 'string', enum: [...JOB_RENDITIONS], default: 'restored' } };
const tus: Json = { 'Tus-Resumable': { type: 'string', const: '1.0.0' } };
const length: Json = { type: 'integer', minimum: 0 };

/** Restoring a file. */
export const FILES_PATHS: Paths = {
  '/restore/video': {
    post: {
      tag: 'files',
      summary: 'Restore a video file',
      description:
        'Send the file as a form, name a URL on a host of jobs.allowedHosts, or a finished resumable upload. What cannot be restored is refused at once. The same request twice (content, settings, models) is one job, answered from its result while that is kept.',
      query: {
        wait: {
          type: 'boolean',
          default: false,
          description: 'answer when the job is over, with its error as a problem',
        },
      },
      body: {
        'multipart/form-data': { schema: ref('RestoreForm') },
        [JSON_TYPE]: { schema: ref('RestoreRequest') },
      },
      answers: {
        200: { ...json('Done already, or waited for', ref('Job')), headers: LOCATION },
        202: {
          ...json('Queued or on its way: follow it on /events or at its URL', ref('Job')),
          headers: LOCATION,
        },
      },
    },
  },
  '/restore/jobs': {
    get: {
      tag: 'files',
      summary: 'The jobs the caller may see, newest first, and the limits',
      description: 'Everybody sees their own, an admin of the whole gateway all.',
      answers: { 200: json('The jobs', ref('JobList')) },
    },
  },
  '/restore/jobs/{id}': {
    get: { tag: 'files', summary: 'One job', answers: { 200: json('The job', ref('Job')) } },
    delete: {
      tag: 'files',
      summary: 'Cancel a job, or remove one that is over with its files',
      answers: { 200: json('Cancelled', ref('Job')), 204: { says: 'Removed' } },
    },
  },
  '/restore/jobs/{id}/video': {
    get: {
      tag: 'files',
      summary: 'The restored video, or the original',
      description: '409 with Retry-After until the job is done; the error of a job that failed.',
      query: {
        ...rendition,
        download: { type: 'boolean', default: false, description: 'have browsers save it' },
      },
      headers: { Range: { ...TEXT, examples: ['bytes=0-1048575'] } },
      answers: { 200: body('The file', VIDEO, BINARY), 206: body('The range asked for', VIDEO, BINARY) },
    },
  },
  '/restore/jobs/{id}/frames': {
    get: {
      tag: 'files',
      summary: 'When each frame is shown',
      answers: {
        200: json(
          'Seconds from the start, in order; both renditions have the same',
          { type: 'object', properties: { times: { type: 'array', items: { type: 'number' } } } },
          { times: [0, 0.04, 0.08] },
        ),
      },
    },
  },
  '/restore/jobs/{id}/frames/{n}': {
    get: {
      tag: 'files',
      summary: 'One frame, exactly, restored or as it was',
      query: rendition,
      answers: { 200: body('JPEG', 'image/jpeg', BINARY) },
    },
  },
  '/restore/uploads': {
    post: {
      tag: 'files',
      summary: 'Begin a resumable upload (tus 1.0)',
      description:
        'For large files and poor networks: any tus client does it. Then POST /restore/video {"upload": id}.',
      headers: {
        ...tus,
        'Upload-Length': { ...length, description: 'bytes of the file' },
        'Upload-Metadata': {
          ...TEXT,
          description: 'filename and its value in base64',
          examples: ['filename aS5tcDQ='],
        },
      },
      answers: { 201: { says: 'Begun', headers: { Location: 'the upload; its last part is the id' } } },
    },
    options: {
      tag: 'files',
      summary: 'What of tus is spoken here',
      answers: { 204: { says: 'Tus-Version, Tus-Extension, Tus-Max-Size' } },
    },
  },
  '/restore/uploads/{id}': {
    head: {
      tag: 'files',
      summary: 'How far an upload is',
      headers: tus,
      answers: { 200: { says: 'Where to go on', headers: { 'Upload-Offset': 'bytes that arrived' } } },
    },
    patch: {
      tag: 'files',
      summary: 'Send more of an upload',
      headers: { ...tus, 'Upload-Offset': { ...length, description: 'where this part begins' } },
      body: { 'application/offset+octet-stream': { schema: BINARY } },
      answers: { 204: { says: 'Taken', headers: { 'Upload-Offset': 'bytes that arrived' } } },
    },
    delete: {
      tag: 'files',
      summary: 'Give an upload up',
      headers: tus,
      answers: { 204: { says: 'Its bytes are gone' } },
    },
  },
};
