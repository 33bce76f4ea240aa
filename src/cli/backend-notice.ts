import { subscribe } from 'node:diagnostics_channel';
import { BACKEND_CHANNEL, type BackendChoice } from '../tensorflow/tensorflow.js';
import type { Terminal } from './terminal.js';

/** Says on stderr which backend of TensorFlow.js computes, whenever one is chosen; nothing if JSON is wanted. */
export function tellBackend({ json }: Pick<Terminal, 'json'>): void {
  if (json) return;
  let told: string | undefined;
  subscribe(BACKEND_CHANNEL, (message) => {
    const line = notice(message as BackendChoice);
    if (line !== told) process.stderr.write(`${line}\n`);
    told = line;
  });
}

/** One line: the backend, why it, and which others could not start and why. */
export function notice({ backend, reason, tried }: BackendChoice): string {
  const others = tried.map(({ backend: name, error }) => `${name}: ${error.message}`);
  const why = others.length === 0 ? '' : ` (${others.join('; ')})`;
  return `TensorFlow.js backend: ${backend}, ${reason}${why}`;
}
