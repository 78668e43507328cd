export { createWebRtcPublisher, type WebRtcPublisher, type WebRtcPublisherOptions } from './publisher.ts';
export { type WhepDeps, whepRoutes } from './routes.ts';
