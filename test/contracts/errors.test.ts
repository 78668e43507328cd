import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { ClearwayError, errorInfo } from '../../src/contracts/errors.ts';

describe('ClearwayError', () => {
  it('is a 500 that is not worth retrying unless it says otherwise', () => {
    const error = new ClearwayError('CLEARWAY_INTERNAL', 'why');
    assert.deepEqual([error.status, error.retryable, error.retryAfter], [500, false, undefined]);
    assert.equal('cause' in error, false);
    assert.ok(error instanceof Error);
  });

  it('keeps its cause', () => {
    const cause = new Error('below');
    assert.equal(new ClearwayError('CLEARWAY_DISK_FULL', 'why', { cause }).cause, cause);
  });
});

describe('errorInfo', () => {
  it('survives a trip through IPC', () => {
    const error = new ClearwayError('CLEARWAY_SOURCE_STALLED', 'no frame for 10 s', { retryable: true });
    assert.deepEqual(structuredClone(errorInfo(error)), {
      code: 'CLEARWAY_SOURCE_STALLED',
      message: 'no frame for 10 s',
      retryable: true,
    });
  });

  it('names anything else thrown an internal, retryable error', () => {
    assert.deepEqual(errorInfo(new TypeError('x')), {
      code: 'CLEARWAY_INTERNAL',
      message: 'x',
      retryable: true,
    });
    assert.deepEqual(errorInfo('x'), { code: 'CLEARWAY_INTERNAL', message: 'x', retryable: true });
  });
});
