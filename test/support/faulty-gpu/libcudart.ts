import { readFileSync } from 'node:fs';
import { type GpuState, STATE_VARIABLE } from './faulty-gpu.ts';

/** cudaError_t and what cudaGetErrorString says of it. */
const REFUSALS: Partial<Record<GpuState, [code: number, message: string]>> = {
  lost: [100, 'no CUDA-capable device is detected'],
  'too-old': [35, 'CUDA driver version is insufficient for CUDA runtime version'],
};

export function gpuState(): GpuState {
  return readFileSync(process.env[STATE_VARIABLE]!, 'utf8') as GpuState;
}

/** Stands for koffi: a CUDA runtime library whose every call answers as the driver's state has it. */
export default {
  load: () => ({
    func: (declaration: string) => () => {
      const [code, message] = REFUSALS[gpuState()] ?? [0, 'no error'];
      return declaration.includes('cudaGetErrorString') ? message : code;
    },
  }),
};
