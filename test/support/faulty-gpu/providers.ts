import { createCudaDevice } from '../../../src/restore/device/cuda-device.ts';
import { ORT_LIBRARY } from '../../../src/restore/device/cuda-libraries.ts';
import type { Device, Provider } from '../../../src/restore/device/device.ts';
import { NativeDevice } from '../../../src/restore/device/native-device.ts';
import { OrtApi } from '../../../src/restore/device/ort-api.ts';
import { type DeviceOptions, openDevice as openReal } from '../../../src/restore/providers.ts';
import { HostRuntime } from '../host-runtime.ts';
import { gpuState } from './libcudart.ts';

export { candidates } from '../../../src/restore/providers.ts';

/** Fails as a GPU that fell off its bus does: from then on, in every call. */
class FaultyRuntime extends HostRuntime {
  private failed = false;

  override synchronize(): void {
    if (gpuState() === 'deadly') process.kill(process.pid, 'SIGKILL');
    this.failed ||= gpuState() === 'lost';
    if (this.failed) throw new Error('CUDA streamSynchronize: unspecified launch failure (error 719)');
  }
}

/** As the real one, but for CUDA. */
export async function openDevice(provider: Provider, options: DeviceOptions): Promise<Device> {
  if (provider !== 'cuda') return openReal(provider, options);
  const state = gpuState();
  // The real way, up to the driver's refusal.
  if (state === 'lost' || state === 'too-old') return createCudaDevice(provider, options.device);
  return new NativeDevice({
    provider,
    half: false,
    runtime: new FaultyRuntime(),
    api: new OrtApi(ORT_LIBRARY),
    append: () => {},
  });
}
