import { ORT_LIBRARY } from './cuda-libraries.ts';
import { CudaRuntime, type Pointer } from './cuda-runtime.ts';
import type { Provider } from './device.ts';
import { NativeDevice } from './native-device.ts';
import { OrtApi } from './ort-api.ts';

/** Options of OrtCUDAProviderOptionsV2, by the names of its string interface. */
function cudaOptions(device: number, queue: Pointer): Record<string, string> {
  return {
    device_id: String(device),
    user_compute_stream: String(queue),
    // Tensor cores read channels last; without it every convolution is wrapped into two transposes.
    prefer_nhwc: '1',
    cudnn_conv_algo_search: 'EXHAUSTIVE',
    cudnn_conv_use_max_workspace: '1',
    use_tf32: '1',
    arena_extend_strategy: 'kSameAsRequested',
  };
}

function tensorRtOptions(device: number, queue: Pointer): Record<string, string> {
  return {
    device_id: String(device),
    user_compute_stream: String(queue),
    trt_fp16_enable: '1',
  };
}

/**
 * An NVIDIA GPU through ONNX Runtime's CUDA or TensorRT provider. The libraries must be loaded. Throws
 * CLEARWAY_PROVIDER_UNAVAILABLE when there is no such GPU or its driver is too old.
 */
export function createCudaDevice(provider: Provider, device: number): NativeDevice {
  const runtime = new CudaRuntime(device);
  const api = new OrtApi(ORT_LIBRARY);
  return new NativeDevice({
    provider,
    half: true,
    runtime,
    api,
    append(options) {
      if (provider === 'tensorrt')
        api.appendProvider('TensorRt', options, tensorRtOptions(device, runtime.queue));
      api.appendProvider('Cuda', options, cudaOptions(device, runtime.queue));
    },
  });
}
