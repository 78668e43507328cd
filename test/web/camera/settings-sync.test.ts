import assert from 'node:assert/strict';
import { mock, test } from 'node:test';
import { SettingsSync } from '../../../src/web/camera/settings-sync.ts';

interface Settings {
  strength: number;
  model: string;
}

function setup(t: { after(f: () => void): void }) {
  mock.timers.enable({ apis: ['setTimeout'] });
  t.after(() => mock.timers.reset());
  const sent: { patch: Partial<Settings>; answer: PromiseWithResolvers<void> }[] = [];
  const shown: Partial<Settings> = {};
  const errors: unknown[] = [];
  const sync = new SettingsSync<Settings>(
    (patch) => {
      const answer = Promise.withResolvers<void>();
      sent.push({ patch, answer });
      return answer.promise;
    },
    (settings) => Object.assign(shown, settings),
    (error) => errors.push(error),
  );
  return { sync, sent, shown, errors };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('a drag is sent once, where it came to rest', (t) => {
  const { sync, sent, shown } = setup(t);
  for (const strength of [0.9, 0.8, 0.7]) sync.change({ strength }, false);
  assert.deepEqual(shown, { strength: 0.7 });
  assert.equal(sent.length, 0);
  sync.flush();
  mock.timers.tick(10_000);
  assert.deepEqual(
    sent.map(({ patch }) => patch),
    [{ strength: 0.7 }],
  );
});

test('a hand that rests without letting go is applied too', (t) => {
  const { sync, sent } = setup(t);
  sync.change({ strength: 0.4 }, false);
  mock.timers.tick(300);
  assert.deepEqual(
    sent.map(({ patch }) => patch),
    [{ strength: 0.4 }],
  );
});

test('a refused change is taken back and said', async (t) => {
  const { sync, sent, shown, errors } = setup(t);
  sync.heard({ strength: 1, model: 'lite' });
  sync.change({ model: 'large' }, true);
  assert.equal(shown.model, 'large');
  const refused = new Error('no such model');
  sent[0]?.answer.reject(refused);
  await settle();
  assert.deepEqual(shown, { strength: 1, model: 'lite' });
  assert.deepEqual(errors, [refused]);
});

test('one request at a time: what changed meanwhile goes out after the answer', async (t) => {
  const { sync, sent } = setup(t);
  sync.change({ strength: 0.5 }, true);
  sync.change({ strength: 0.6 }, true);
  sync.change({ model: 'none' }, true);
  assert.equal(sent.length, 1);
  sent[0]?.answer.resolve();
  await settle();
  assert.deepEqual(sent[1]?.patch, { strength: 0.6, model: 'none' });
});

test('status from before the change does not move the control back', async (t) => {
  const { sync, sent, shown } = setup(t);
  sync.heard({ strength: 1 });
  sync.change({ strength: 0.2 }, true);
  sync.heard({ strength: 1 });
  assert.equal(shown.strength, 0.2);
  sent[0]?.answer.resolve();
  await settle();
  sync.heard({ strength: 1 });
  assert.equal(shown.strength, 0.2);
  sync.heard({ strength: 0.2 });
  sync.heard({ strength: 0.9 }); // somebody else
  assert.equal(shown.strength, 0.9);
});
