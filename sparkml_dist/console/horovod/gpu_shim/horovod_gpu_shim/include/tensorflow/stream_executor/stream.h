// Horovod includes this header, which TensorFlow has removed, for one function.
#pragma once
#include <cuda_runtime.h>

#include "xla/stream_executor/stream.h"

namespace stream_executor::gpu {
inline cudaStream_t AsGpuStreamValue(Stream* stream) {
  return static_cast<cudaStream_t>(stream->platform_specific_handle().stream);
}
}  // namespace stream_executor::gpu
