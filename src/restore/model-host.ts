import type { ModelInfo } from '../contracts/control.ts';
import { errorInfo } from '../contracts/errors.ts';
import type { Accelerator, ModelSpeed, ProviderStatus } from '../contracts/restorer.ts';
import { fastestFrame, measureSpeed } from './calibrate.ts';
import type { Device, Provider } from './device/device.ts';
import { RestorerGraph, SmootherGraph } from './graph.ts';
import { listModels, type ModelFiles, readModel } from './manifest.ts';
import { selfCheck } from './self-check.ts';

export interface ModelHostOptions {
  /** Directory of model directories. */
  directory: string;
  /** Providers to try, in this order. */
  candidates: readonly Provider[];
  open(provider: Provider): Promise<Device>;
  /** Told before a provider is tried: a driver may take the process down. */
  trying(provider: Provider): void;
  /** What an earlier restorer of this host measured: not measured again. */
  known: Pick<Accelerator, 'provider' | 'speeds'> | undefined;
}

/** A restorer ready to run, with the smoother on the same device. */
export interface ReadyModel {
  graph: RestorerGraph;
  smoother: SmootherGraph | undefined;
}

/** Runs of each provider when the slower of two is looked for. */
const COMPARED_RUNS = 2;

/**
 * Every model of a directory, each on the first of the candidate providers on which it opens, restores as it does on
 * the CPU, and is not slower than there.
 */
export class ModelHost {
  readonly ready = new Map<string, ReadyModel>();
  readonly infos = new Map<string, ModelInfo>();
  readonly speeds: Record<string, ModelSpeed> = {};
  readonly providers: ProviderStatus[] = [];
  private readonly options: ModelHostOptions;
  private readonly files = new Map<string, ModelFiles>();
  private readonly smoothers: SmootherGraph[] = [];
  private readonly devices: Device[] = [];

  private constructor(options: ModelHostOptions) {
    this.options = options;
  }

  static async open(options: ModelHostOptions): Promise<ModelHost> {
    const host = new ModelHost(options);
    await host.readAll();
    for (const provider of options.candidates) {
      // Once every model has its place the slower providers need not be opened.
      if (host.ready.size > 0 && host.homeless.length === 0) break;
      await host.openOn(provider);
    }
    return host;
  }

  /** The provider that runs most of what is restored: the first that runs anything. */
  get provider(): Provider {
    const [first] = this.ready.values();
    return first?.graph.device.provider ?? this.options.candidates.at(-1)!;
  }

  /** The smoother of the device that most models are on. */
  get smoother(): SmootherGraph | undefined {
    return this.smoothers[0];
  }

  async release(): Promise<void> {
    for (const { graph } of this.ready.values()) await graph.release();
    for (const smoother of this.smoothers) await smoother.release();
    for (const device of this.devices) await device.release();
    this.ready.clear();
  }

  private get homeless(): ModelFiles[] {
    return [...this.files.values()].filter(
      ({ manifest }) => manifest.kind === 'restorer' && !this.ready.has(manifest.name),
    );
  }

  private async readAll(): Promise<void> {
    for (const name of await listModels(this.options.directory)) {
      const info: ModelInfo = {
        name,
        kind: 'restorer',
        description: '',
        version: '',
        window: { past: 0, future: 0 },
      };
      this.infos.set(name, info);
      try {
        const files = await readModel(this.options.directory, name);
        const { manifest } = files;
        info.kind = manifest.kind;
        info.description = manifest.description;
        info.version = manifest.version;
        if (manifest.kind === 'restorer') info.window = manifest.window;
        this.files.set(name, files);
      } catch (error) {
        info.error = errorInfo(error).message;
      }
    }
  }

  private async openOn(provider: Provider): Promise<void> {
    this.options.trying(provider);
    let device: Device;
    let smoother: SmootherGraph | undefined;
    try {
      device = await this.options.open(provider);
      this.devices.push(device);
      smoother = await this.openSmoother(device);
    } catch (error) {
      this.providers.push({ provider, works: false, detail: errorInfo(error).message });
      return;
    }
    const refused: string[] = [];
    for (const files of this.homeless) {
      const { name } = files.manifest;
      const info = this.infos.get(name)!;
      try {
        await this.place(files, device, smoother);
        delete info.error;
        info.provider = provider;
      } catch (error) {
        info.error = errorInfo(error).message;
        refused.push(info.error);
      }
    }
    const works = [...this.ready.values()].some(({ graph }) => graph.device === device);
    const detail = refused.length > 0 ? refused.join(' ') : 'every model passed its self-check';
    this.providers.push({ provider, works, detail });
  }

  private async openSmoother(device: Device): Promise<SmootherGraph | undefined> {
    const files = this.files.get('smoother');
    if (!files) return undefined;
    const info = this.infos.get('smoother')!;
    try {
      const smoother = await SmootherGraph.open(files, device);
      this.smoothers.push(smoother);
      delete info.error;
      return smoother;
    } catch (error) {
      info.error = errorInfo(error).message;
      // On the CPU it is the model that is wrong; elsewhere the device.
      if (device.provider !== 'cpu') throw error;
      return undefined;
    }
  }

  /** Opens one restorer on a device. Throws when it is not to be used there. */
  private async place(files: ModelFiles, device: Device, smoother: SmootherGraph | undefined): Promise<void> {
    const { known, open } = this.options;
    const { name } = files.manifest;
    const graph = await openRestorer(files, device);
    try {
      const before = known?.provider === device.provider ? known.speeds[name] : undefined;
      if (device.provider !== 'cpu' && !before) {
        const cpu = await open('cpu');
        const reference = await RestorerGraph.open(files, cpu);
        try {
          await selfCheck(graph, reference);
          if (device.provider === 'webgpu') await checkWorthwhile(graph, reference);
        } finally {
          await reference.release();
        }
      }
      this.speeds[name] = before ?? (await measureSpeed(graph, smoother));
      this.ready.set(name, { graph, smoother });
    } catch (error) {
      // One model that cannot be timed (too large for this accelerator, say) leaves the others usable.
      await graph.release();
      throw error;
    }
  }
}

/** Opens a restorer, in half precision where it can be: not every GPU has it. */
async function openRestorer(files: ModelFiles, device: Device): Promise<RestorerGraph> {
  const { half, ...full } = files;
  if (!half || !device.half) return RestorerGraph.open(full, device);
  try {
    return await RestorerGraph.open(files, device);
  } catch {
    return RestorerGraph.open(full, device);
  }
}

/** Vulkan may be a renderer in software that was asked for, or a GPU that is weaker than its host. */
async function checkWorthwhile(graph: RestorerGraph, reference: RestorerGraph): Promise<void> {
  const [gpu, cpu] = [
    await fastestFrame(graph, undefined, undefined, COMPARED_RUNS),
    await fastestFrame(reference, undefined, undefined, COMPARED_RUNS),
  ];
  if (gpu > cpu)
    throw new Error(
      `Model ${graph.manifest.name} takes ${gpu.toFixed(1)} ms on ${graph.device.provider} and ${cpu.toFixed(1)} ms on the CPU.`,
    );
}
