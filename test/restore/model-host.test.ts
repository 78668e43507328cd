import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { ClearwayError } from '../../src/contracts/errors.ts';
import type { Device, DeviceTensor, Executor, Provider } from '../../src/restore/device/device.ts';
import { CpuDevice } from '../../src/restore/device/node-device.ts';
import { ModelHost, type ModelHostOptions } from '../../src/restore/model-host.ts';
import { candidates, openDevice } from '../../src/restore/providers.ts';
import { FIXTURE_MODELS } from '../support/restoring.ts';
import { noVulkan, SOFTWARE_VULKAN } from '../support/software-vulkan.ts';

const SHIPPED = join(import.meta.dirname, '../../models');
/** One light restorer and the smoother. */
const MODELS = await mkdtemp(join(tmpdir(), 'clearway-models-'));
for (const name of ['lite', 'smoother'])
  await cp(join(SHIPPED, name), join(MODELS, name), { recursive: true });
/** A restorer that any driver runs at once. */
const COUNT = await mkdtemp(join(tmpdir(), 'clearway-models-'));
await cp(join(FIXTURE_MODELS, 'count'), join(COUNT, 'count'), { recursive: true });
after(() => Promise.all([MODELS, COUNT].map((directory) => rm(directory, { recursive: true }))));

type Fault = (run: () => Promise<Record<string, DeviceTensor>>) => Promise<Record<string, DeviceTensor>>;

/** A device that computes on the CPU but says it is another, with what can go wrong there. */
class FaultyDevice implements Device {
  readonly half = false;
  readonly provider: Provider;
  private readonly cpu = new CpuDevice(1);
  private readonly faults: { open?: () => void; run?: Fault };
  released = 0;

  constructor(provider: Provider, faults: { open?: () => void; run?: Fault } = {}) {
    this.provider = provider;
    this.faults = faults;
  }

  async open(graph: Uint8Array): Promise<Executor> {
    this.faults.open?.();
    const executor = await this.cpu.open(graph);
    const { run } = this.faults;
    if (!run) return executor;
    return {
      inputs: executor.inputs,
      outputs: executor.outputs,
      run: (inputs, outputs) => run(() => executor.run(inputs, outputs)),
      release: () => executor.release(),
    };
  }

  upload(...args: Parameters<Device['upload']>): Promise<DeviceTensor> {
    return this.cpu.upload(...args);
  }

  download(...args: Parameters<Device['download']>): Promise<void> {
    return this.cpu.download(...args);
  }

  async release(): Promise<void> {
    this.released++;
  }
}

async function host(
  devices: Partial<Record<Provider, () => Device>>,
  changes: Partial<ModelHostOptions> = {},
): Promise<ModelHost> {
  return ModelHost.open({
    directory: MODELS,
    candidates: candidates('auto'),
    open: async (provider) => {
      if (provider === 'cpu') return new CpuDevice(1);
      const device = devices[provider]?.();
      if (!device) throw new ClearwayError('CLEARWAY_PROVIDER_UNAVAILABLE', `no ${provider} here`);
      return device;
    },
    trying: () => {},
    known: undefined,
    ...changes,
  });
}

test('the first provider that works runs every model; slower ones are not opened', async () => {
  const tried: Provider[] = [];
  const found = await host(
    { cuda: () => new FaultyDevice('cuda') },
    { trying: (provider) => tried.push(provider) },
  );
  assert.equal(found.provider, 'cuda');
  assert.deepEqual(tried, ['tensorrt', 'cuda']);
  assert.deepEqual(
    found.providers.map(({ provider, works }) => [provider, works]),
    [
      ['tensorrt', false],
      ['cuda', true],
    ],
  );
  assert.equal(found.infos.get('lite')!.provider, 'cuda');
  assert.ok(found.speeds.lite!.perMegapixel > 0);
  await found.release();
});

const REFUSED: Record<string, [() => Device, RegExp]> = {
  'that computes something else': [
    () => {
      let runs = 0;
      return new FaultyDevice('cuda', {
        // The contract's own checks pass; afterwards a state is lost now and then.
        run: async (run) => {
          const results = await run();
          const picture = (results.restored as unknown as { tensor?: { data: Uint8Array } })?.tensor?.data;
          if (picture && ++runs > 3) for (let i = 0; i < picture.length; i += 2) picture[i] = picture[i]! ^ 8;
          return results;
        },
      });
    },
    /cuda restores otherwise than the CPU/,
  ],
  'that lacks an operator': [
    () =>
      new FaultyDevice('cuda', {
        open: () => {
          throw new Error('Could not find an implementation for DepthToSpace(13)');
        },
      }),
    /cuda cannot open it .*DepthToSpace/,
  ],
  'without memory for the graph': [
    () =>
      new FaultyDevice('cuda', {
        run: async () => {
          throw new Error('Failed to allocate memory for requested buffer of size 12345');
        },
      }),
    /does not run on a .* picture .*allocate memory/,
  ],
  'lost while it is timed': [
    () => {
      let runs = 0;
      return new FaultyDevice('cuda', {
        run: (run) => {
          if (++runs > 12) throw new Error('CUDA failure 719: unspecified launch failure');
          return run();
        },
      });
    },
    /launch failure/,
  ],
};

for (const [what, [faulty, reason]] of Object.entries(REFUSED)) {
  test(`a provider ${what} is named, and the next one taken`, async () => {
    const found = await host({ cuda: faulty });
    assert.equal(found.provider, 'cpu');
    const cuda = found.providers.find(({ provider }) => provider === 'cuda')!;
    assert.equal(cuda.works, false);
    assert.match(cuda.detail, reason);
    assert.equal(found.infos.get('lite')!.error, undefined);
    assert.ok(found.ready.has('lite'));
    await found.release();
  });
}

test('a model that one provider cannot run goes to the next, the others stay', async () => {
  let opened = 0;
  const found = await host(
    {
      cuda: () =>
        new FaultyDevice('cuda', {
          open: () => {
            // The smoother, then the models in order of their names.
            if (++opened === 2) throw new Error('no kernel for this operator');
          },
        }),
    },
    { directory: FIXTURE_MODELS },
  );
  const provider = (name: string) => found.infos.get(name)!.provider;
  assert.equal(provider('ahead'), 'cpu');
  assert.equal(provider('blend'), 'cuda');
  assert.equal(found.provider, 'cuda');
  assert.notEqual(found.ready.get('ahead')!.smoother, found.ready.get('blend')!.smoother);
  await found.release();
});

test('a renderer in software behind WebGPU restores as the CPU does, but loses to it', {
  skip: noVulkan,
}, async (t) => {
  process.env.VK_DRIVER_FILES = SOFTWARE_VULKAN;
  t.after(() => delete process.env.VK_DRIVER_FILES);
  const options: Partial<ModelHostOptions> = {
    directory: COUNT,
    candidates: candidates('webgpu'),
    open: (provider) => openDevice(provider, { threads: 1, device: 0 }),
  };
  const found = await host({}, options);
  assert.equal(found.provider, 'cpu');
  assert.match(
    found.providers.find(({ provider }) => provider === 'webgpu')!.detail,
    /^Model count takes .* ms on webgpu and .* ms on the CPU\.$/,
  );
  await found.release();
  const known = { provider: 'webgpu' as const, speeds: { count: { fixed: 1, perMegapixel: 1 } } };
  const chosen = await host({}, { ...options, known });
  assert.equal(chosen.provider, 'webgpu');
  assert.deepEqual([...chosen.ready.keys()], ['count']);
  await chosen.release();
});

test('what an earlier restorer measured is not measured, nor checked, again', async () => {
  const known = { provider: 'cuda' as const, speeds: { lite: { fixed: 1.5, perMegapixel: 2.5 } } };
  const found = await host({ cuda: () => new FaultyDevice('cuda') }, { known });
  assert.deepEqual(found.speeds.lite, known.speeds.lite);
  await found.release();
});

test('a provider asked for is followed by the slower ones, and one that took restorers down is left out', () => {
  assert.deepEqual(candidates('auto'), ['tensorrt', 'cuda', 'webgpu', 'cpu']);
  assert.deepEqual(candidates('webgpu'), ['webgpu', 'cpu']);
  assert.deepEqual(candidates('cpu'), ['cpu']);
  assert.deepEqual(candidates('cuda', ['cuda', 'cpu']), ['webgpu', 'cpu']);
});

test('without a GPU each provider says what is missing', async (t) => {
  const options = { threads: 1, device: 0 };
  if (await openDevice('cuda', options).catch(() => undefined)) return t.skip('there is a GPU');
  for (const provider of ['cuda', 'tensorrt', 'webgpu'] as const) {
    await assert.rejects(openDevice(provider, options), (error: ClearwayError) => {
      assert.equal(error.code, 'CLEARWAY_PROVIDER_UNAVAILABLE');
      assert.match(error.message, /no (NVIDIA )?GPU here|no access to|Vulkan has no usable GPU|missing/);
      return true;
    });
  }
});
