/**
 * ONNX Runtime's library tells Microsoft of the host, of the models and of every run (1.29 on Linux and later), and
 * keeps a number of the host in the user's cache, unless this variable is set before its first session. To be imported
 * where sessions are opened, and by the main thread that starts a thread for it: only there a change reaches the library.
 */
process.env.ORT_DISABLE_TELEMETRY ??= '1';
