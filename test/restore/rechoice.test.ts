import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ModelSpeed } from '../../src/contracts/restorer.ts';
import { Admission } from '../../src/restore/admission.ts';
import { estimate } from '../../src/restore/estimate.ts';
import { Ladder } from '../../src/restore/ladder.ts';
import { type Chooser, Rechoice } from '../../src/restore/rechoice.ts';
import { RunningCost } from '../../src/restore/running-cost.ts';
import { type Choice, chooseRestoration } from '../../src/restore/working-height.ts';

const FPS = 25;
const MINUTE = 60;
const HOUR = 60 * MINUTE;
const CPU = { lite: { fixed: 0.5, perMegapixel: 45 } };

interface Camera extends Chooser {
  name: string;
  watched: boolean;
  choice: Choice;
  ladder: Ladder;
  /** Heights it was given while it ran. */
  heights: number[];
}

/**
 * An accelerator and its cameras of 1080 lines, second by second; all but the accelerator and the time is real. What
 * they ask for beyond its time makes their frames late, those of all of them alike.
 */
class Host {
  now = 0;
  /** How much longer runs take than was measured at start. */
  slowness: () => number = () => 1;
  cameras: Camera[] = [];
  private readonly provider: 'cpu' | 'cuda';
  private readonly speeds: Record<string, ModelSpeed>;
  private readonly cost: RunningCost;
  private readonly admission = new Admission(() => Math.min(1, this.asked));
  private readonly rechoice = new Rechoice(this.admission);
  private owed = 0;
  private count = 0;

  constructor(provider: 'cpu' | 'cuda', speeds: Record<string, ModelSpeed>) {
    this.provider = provider;
    this.speeds = speeds;
    this.cost = new RunningCost(speeds);
  }

  /** Share of its time that frames take, as it is now. */
  private get asked(): number {
    return this.cameras.reduce((sum, { ladder, choice }) => sum + this.takes(ladder.model, choice.height), 0);
  }

  get restored(): string[] {
    return this.cameras.filter(({ ladder }) => ladder.restores).map(({ name }) => name);
  }

  get heights(): number[] {
    return this.cameras.map(({ choice }) => choice.height);
  }

  get changes(): number {
    return this.cameras.reduce((sum, { heights }) => sum + heights.length, 0);
  }

  add(name: string, watched = false): Camera {
    const { cost, provider } = this;
    const shareOf = (model: string, lines: number) =>
      ((cost.expected(model, width(lines), lines) ?? 0) * FPS) / 1000;
    const choose = () =>
      chooseRestoration({ speeds: cost.lasting, provider, lanes: 1 }, FPS, this.cameras.length);
    const camera: Camera = {
      name,
      watched,
      order: this.count++,
      choice: { model: '', height: 0, streams: 0, reason: '' },
      ladder: new Ladder([]),
      heights: [],
      choose,
      share: (model) => shareOf(model, camera.choice.height),
      shareOf: ({ model, height }) => shareOf(model, height),
      lines: ({ height }) => height,
      tooHeavy: (model) =>
        (cost.atBest(model, width(camera.choice.height), camera.choice.height) ?? 0) > 1000 / FPS,
      moved() {},
      take: (choice) => {
        const smaller = choice.height < camera.choice.height;
        camera.heights.push(choice.height);
        camera.choice = choice;
        if (smaller) this.admission.ease(camera, this.now);
        if (!smaller || camera.ladder.step > 0) this.place(camera);
      },
    };
    this.cameras.push(camera);
    camera.choice = choose();
    camera.ladder = new Ladder([camera.choice.model]);
    this.admission.place(camera);
    return camera;
  }

  remove(name: string): void {
    const camera = this.cameras.find((other) => other.name === name)!;
    this.admission.leave(camera, this.now);
    this.cameras = this.cameras.filter((other) => other !== camera);
  }

  run(seconds: number): void {
    for (let second = 0; second < seconds; second++) {
      const { asked } = this;
      const late = asked > 1 ? 1 - 1 / asked : 0;
      for (let frame = 0; frame < FPS; frame++) {
        this.owed += late;
        const missed = this.owed >= 1;
        if (missed) this.owed--;
        for (const { ladder } of this.cameras)
          ladder.observe(missed && ladder.restores ? 'waited' : undefined);
      }
      this.now += 1000;
      for (const { ladder, choice } of this.cameras) {
        const ms = (this.takes(ladder.model, choice.height) * 1000) / FPS;
        if (ms > 0) this.cost.ran(ladder.model, width(choice.height), choice.height, ms, this.now);
      }
      this.admission.tick(this.now);
      this.rechoice.tick(this.cameras, this.now);
    }
  }

  private takes(model: string, height: number): number {
    const speed = this.speeds[model];
    return speed ? (estimate(speed, width(height), height) * this.slowness() * FPS) / 1000 : 0;
  }

  private place(camera: Camera): void {
    this.admission.leave(camera, this.now);
    this.admission.place(camera);
  }
}

function width(height: number): number {
  return (height * 16) / 9;
}

test('where a second camera finds no room, the first gets fewer lines after minutes, and both are restored', () => {
  const host = new Host('cpu', CPU);
  host.add('first', true);
  host.run(HOUR);
  host.add('second');
  assert.deepEqual(host.heights, [540, 360]);
  host.run(2 * MINUTE);
  assert.deepEqual(host.heights, [540, 360], 'not at once');
  assert.deepEqual(host.restored, ['first']);
  host.run(3 * MINUTE);
  assert.deepEqual(host.heights, [360, 360]);
  assert.deepEqual(host.restored, ['first', 'second']);
  host.run(24 * HOUR);
  assert.equal(host.changes, 1);
});

test('of ten cameras the one that is left gets the lines of all, after minutes and once', () => {
  const host = new Host('cpu', CPU);
  for (let camera = 0; camera < 10; camera++) host.add(`cam${camera}`);
  host.run(24 * HOUR);
  assert.deepEqual(new Set(host.heights), new Set([360]));
  assert.equal(host.changes, 1, 'only that of the first, which was alone for a moment');
  for (let camera = 1; camera < 10; camera++) host.remove(`cam${camera}`);
  host.run(2 * MINUTE);
  assert.deepEqual(host.heights, [360], 'not at once');
  host.run(3 * MINUTE);
  assert.deepEqual(host.heights, [540]);
  host.run(24 * HOUR);
  assert.equal(host.changes, 2);
  assert.deepEqual(host.restored, ['cam0']);
});

test('a camera that comes for a minute now and then costs the others no line', () => {
  const host = new Host('cpu', CPU);
  host.add('always');
  for (let time = 0; time < 30; time++) {
    host.run(90);
    host.add('now and then', true);
    host.run(MINUTE);
    host.remove('now and then');
  }
  assert.equal(host.changes, 0);
});

test('only as many lines are given up as are needed, by the last that nobody watches first; none while all are restored', () => {
  const host = new Host('cuda', { lite: { fixed: 0.2, perMegapixel: 4 } });
  for (const name of ['a', 'b', 'c']) host.add(name, name === 'c');
  host.add('d');
  host.run(HOUR);
  assert.deepEqual(host.heights, [1080, 1080, 1080, 720], 'for four it would be 720, but there is room');
  assert.equal(host.restored.length, 4);
  host.add('e');
  host.run(HOUR);
  assert.equal(host.restored.length, 5);
  assert.deepEqual(host.heights, [1080, 720, 1080, 720, 720]);
});

test('a host that is slower for good restores fewer lines instead of none, and more once it is as fast as before', () => {
  const host = new Host('cpu', CPU);
  host.add('cam');
  host.slowness = () => 2;
  host.run(10 * MINUTE);
  assert.deepEqual(host.heights, [360]);
  assert.deepEqual(host.restored, ['cam']);
  host.run(HOUR);
  assert.equal(host.changes, 1);
  host.slowness = () => 1;
  host.run(10 * MINUTE);
  assert.deepEqual(host.heights, [540]);
  assert.equal(host.changes, 2);
});

test('a host that was measured while it was busy restores more lines than that promised', () => {
  const host = new Host('cpu', { lite: { fixed: 1, perMegapixel: 90 } });
  host.slowness = () => 0.5;
  host.add('cam');
  assert.deepEqual(host.heights, [360]);
  host.run(5 * MINUTE);
  assert.deepEqual(host.heights, [540]);
});

test('a bad minute changes nothing', () => {
  const host = new Host('cpu', CPU);
  host.add('cam');
  for (let hour = 0; hour < 12; hour++) {
    host.slowness = () => 3;
    host.run(MINUTE);
    host.slowness = () => 1;
    host.run(HOUR);
  }
  assert.equal(host.changes, 0);
  assert.deepEqual(host.restored, ['cam']);
});

test('more lines that never hold are tried ever more rarely', () => {
  const host = new Host('cpu', CPU);
  const camera = host.add('cam');
  // Whatever else there is to do, it is there as soon as the picture is large.
  host.slowness = () => (camera.choice.height > 360 ? 2 : 1);
  host.run(24 * HOUR);
  const first = host.changes;
  assert.ok(first > 2 && first < 20, `${first} changes on the first day`);
  host.run(24 * HOUR);
  assert.ok(host.changes - first <= 3, `${host.changes - first} changes on the second`);
});
