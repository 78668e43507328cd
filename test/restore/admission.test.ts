import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Admission, type Member } from '../../src/restore/admission.ts';
import { Ladder } from '../../src/restore/ladder.ts';

const FPS = 10;
const MINUTE = 60;

interface Camera extends Member {
  name: string;
  watched: boolean;
  /** Its frames would be late on these models although nobody else is there. */
  heavy: string[];
  /** Its frames come all at once, and have to wait for each other. */
  bursts: boolean;
  moves: string[];
}

/**
 * An accelerator and its streams, second by second. What streams ask for beyond its time makes their frames late, and
 * only then: the frames of all of them alike, since the earliest deadline goes first.
 */
class Host {
  now = 0;
  /** Share of the accelerator that is gone to other work. */
  other = 0;
  readonly cameras: Camera[] = [];
  readonly admission = new Admission(() => Math.min(1, this.asked + this.other));
  private owed = 0;
  private readonly shares: Record<string, number>;

  /** @param shares share of the accelerator's time a camera takes, by model */
  constructor(shares: Record<string, number>) {
    this.shares = shares;
  }

  get asked(): number {
    return this.cameras.reduce((sum, { ladder }) => sum + (this.shares[ladder.model] ?? 0), 0);
  }

  get restored(): string[] {
    return this.cameras.filter(({ ladder }) => ladder.restores).map(({ name }) => name);
  }

  get moves(): number {
    return this.cameras.reduce((sum, { moves }) => sum + moves.length, 0);
  }

  add(name: string, models: string[] = ['lite'], watched = false): Camera {
    const { shares } = this;
    const camera: Camera = {
      name,
      order: this.cameras.length,
      ladder: new Ladder(models),
      watched,
      heavy: [],
      bursts: false,
      moves: [],
      share: (model) => shares[model] ?? 0,
      tooHeavy: (model) => camera.heavy.includes(model),
      moved: (from, why) => void camera.moves.push(`${from} -> ${camera.ladder.model}: ${why}`),
    };
    this.cameras.push(camera);
    this.admission.place(camera);
    return camera;
  }

  remove(name: string): void {
    const at = this.cameras.findIndex((camera) => camera.name === name);
    this.admission.leave(this.cameras[at]!, this.now);
    this.cameras.splice(at, 1);
  }

  run(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      const asked = this.asked + this.other;
      const late = asked > 1 ? 1 - 1 / asked : 0;
      for (let frame = 0; frame < FPS; frame++) {
        this.owed += late;
        const missed = this.owed >= 1;
        if (missed) this.owed--;
        for (const { ladder, heavy, bursts } of this.cameras) {
          if (heavy.includes(ladder.model)) ladder.observe('alone');
          else ladder.observe((missed || bursts) && ladder.restores ? 'waited' : undefined);
        }
      }
      this.now += 1000;
      this.admission.tick(this.now);
    }
  }
}

const names = (count: number) => Array.from({ length: count }, (_, at) => `cam${at}`);

test('as many cameras as there is room for are restored from the first picture on, and nothing moves after that', () => {
  const host = new Host({ lite: 0.18 });
  for (const name of names(10)) host.add(name);
  assert.deepEqual(host.restored, ['cam0', 'cam1', 'cam2', 'cam3']);
  host.run(60 * MINUTE);
  assert.equal(host.moves, 0);
});

test('where a run takes longer than was expected, one stream after another gives way, the last first', () => {
  const host = new Host({ lite: 0.18 });
  for (const name of names(10)) host.add(name);
  host.other = 0.7;
  host.run(4 * MINUTE);
  assert.deepEqual(host.restored, ['cam0', 'cam1']);
  assert.equal(host.moves, 2);
  host.run(60 * MINUTE);
  assert.equal(host.moves, 2, 'there is no room: nobody tries');
  host.other = 0;
  host.run(2 * MINUTE);
  assert.deepEqual(host.restored, ['cam0', 'cam1', 'cam2', 'cam3']);
  assert.equal(host.moves, 4);
});

test('overload of a second or two moves nobody', () => {
  const host = new Host({ lite: 0.18 });
  for (const name of names(4)) host.add(name);
  for (let minute = 0; minute < 60; minute++) {
    host.other = 10;
    host.run(2);
    host.other = 0;
    host.run(MINUTE);
  }
  assert.equal(host.moves, 0);
});

test('room that fails again and again is tried ever more rarely', () => {
  const host = new Host({ lite: 0.3 });
  for (const name of names(2)) host.add(name);
  // Whoever climbs meets a load that nobody could foresee.
  const hour = () => {
    const before = host.moves;
    for (let second = 0; second < 60 * MINUTE; second++) {
      host.other = host.restored.length === 2 ? 0.8 : 0;
      host.run(1);
    }
    return host.moves - before;
  };
  for (let hours = 0; hours < 4; hours++) hour();
  const moves = hour();
  assert.ok(moves > 0 && moves <= 2, `${moves} moves in the fifth hour`);
});

test('on a host without time for any stream they do not all have a try', () => {
  const host = new Host({ lite: 0.3 });
  for (const name of names(4)) host.add(name);
  host.other = 5;
  host.run(10 * MINUTE);
  assert.deepEqual(
    host.cameras.slice(1).map(({ moves }) => moves.length),
    [1, 0, 0],
  );
});

test('who watches a stream gets it restored: it takes the place of one that nobody watches', () => {
  const host = new Host({ lite: 0.3 });
  for (const name of names(4)) host.add(name);
  assert.deepEqual(host.restored, ['cam0', 'cam1']);
  const [first, , , last] = host.cameras as [Camera, Camera, Camera, Camera];
  last.watched = true;
  host.run(5);
  assert.deepEqual(host.restored, ['cam0', 'cam3']);
  last.watched = false;
  host.run(60 * MINUTE);
  assert.deepEqual(host.restored, ['cam0', 'cam3'], 'what is restored stays so');
  for (const camera of host.cameras) camera.watched = camera !== first;
  host.run(60 * MINUTE);
  assert.deepEqual(
    host.restored,
    ['cam1', 'cam3'],
    'of those watched, those that came first; no more than there is room for',
  );
  assert.equal(host.moves, 4);
});

test('a camera that connects because somebody watches is restored from its first picture on', () => {
  const host = new Host({ lite: 0.3 });
  for (const name of names(2)) host.add(name);
  host.add('onDemand', ['lite'], true);
  assert.deepEqual(host.restored, ['cam0', 'onDemand']);
});

test('among watched streams overload takes the last, and never a watched one while there are others', () => {
  const host = new Host({ lite: 0.18 });
  for (const name of names(4)) host.add(name);
  for (const at of [1, 3]) host.cameras[at]!.watched = true;
  host.other = 0.7;
  host.run(4 * MINUTE);
  assert.deepEqual(host.restored, ['cam1', 'cam3']);
  host.other = 0.9;
  host.run(4 * MINUTE);
  assert.deepEqual(host.restored, ['cam1']);
});

test('all run a lighter model before one runs none', () => {
  const host = new Host({ base: 0.3, lite: 0.1 });
  for (const name of names(2)) host.add(name, ['base', 'lite']);
  host.other = 0.9;
  host.run(4 * MINUTE);
  assert.deepEqual(
    host.cameras.map(({ ladder }) => ladder.model),
    ['lite', 'lite'],
  );
});

test('a model that is too heavy for its stream costs no other stream anything', () => {
  const host = new Host({ base: 0.3, lite: 0.1 });
  const heavy = host.add('heavy', ['base', 'lite']);
  heavy.heavy = ['base'];
  host.add('other');
  host.run(60 * MINUTE);
  assert.equal(heavy.ladder.model, 'lite');
  assert.deepEqual(heavy.moves, ['base -> lite: its frames are late by themselves']);
  assert.equal(host.cameras[1]!.moves.length, 0);
});

test('a camera that sends in bursts costs no other its restoration', () => {
  const host = new Host({ lite: 0.18 });
  for (const name of names(3)) host.add(name);
  host.cameras[0]!.bursts = true;
  host.run(60 * MINUTE);
  assert.deepEqual(host.restored, ['cam1', 'cam2']);
  assert.deepEqual(host.cameras[1]!.moves, []);
});

test('a stream by itself is tried again although its model seems too heavy: that was measured on a busy host', () => {
  const host = new Host({ lite: 0.5 });
  const camera = host.add('cam');
  camera.heavy = ['lite'];
  host.run(MINUTE);
  assert.ok(camera.moves.length >= 2);
  camera.heavy = [];
  host.run(5 * MINUTE);
  assert.equal(camera.ladder.model, 'lite');
});

test('a camera that is back after seconds finds its place, one that stays away leaves it to others', () => {
  const host = new Host({ lite: 0.3 });
  for (const name of names(3)) host.add(name);
  const [first] = host.cameras as [Camera];
  host.admission.leave(first, host.now);
  host.run(5);
  host.admission.place(first);
  host.run(MINUTE);
  assert.deepEqual(host.restored, ['cam0', 'cam1']);
  host.remove('cam0');
  host.run(MINUTE);
  assert.deepEqual(host.restored, ['cam1', 'cam2']);
});
