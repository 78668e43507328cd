import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ApiError } from '../../../src/web/core/api.ts';
import { fieldOf } from '../../../src/web/wall/form.ts';

test('a validation sentence goes to the field it begins with', () => {
  const problem = new ApiError(400, 'CLEARWAY_BAD_REQUEST', 'source: this scheme is not allowed');
  assert.deepEqual(fieldOf(problem), { field: 'source', message: 'this scheme is not allowed' });
});

test('codes that can only mean one field go there', () => {
  assert.equal(fieldOf(new ApiError(409, 'CLEARWAY_STREAM_EXISTS', 'There is one.')).field, 'name');
  assert.equal(fieldOf(new ApiError(400, 'CLEARWAY_URL_REFUSED', 'Not to that address.')).field, 'source');
  assert.equal(fieldOf(new ApiError(400, 'CLEARWAY_BIND_REFUSED', 'Without a key?')).field, 'key');
});

test('anything else is about the form', () => {
  assert.equal(fieldOf(new ApiError(500, 'CLEARWAY_DISK_FULL', 'The disk is full.')).field, undefined);
});
