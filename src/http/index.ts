/**
 * lichen over HTTP: `import { createServer, lichenPlugin } from 'lichen/http'`.
 * @packageDocumentation
 */
export { createServer, type Server, type ServerOptions } from './server.js';
export { lichenPlugin, type HttpTelemetry, type LichenPluginOptions } from './plugin.js';
export type { ApiKeyOptions, Permission } from './api-keys.js';
