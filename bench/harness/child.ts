// What programs share that serve a side in a process of their own (see process-side.ts).

import { readFileSync } from 'node:fs';
import { matrix, type Matrix } from '../../src/index.js';

/** Raw f32, as writeVectorFiles leaves them. */
export function readVectors(file: string, dim: number): Matrix {
  const bytes = readFileSync(file);
  return matrix(new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4), dim);
}

/** Answers by a line of JSON. */
export function say(answer: object): void {
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** Gives `main` the arguments; what it throws is the answer. */
export function runChild(main: (args: readonly string[]) => void): void {
  try {
    main(process.argv.slice(2));
  } catch (error) {
    say({ error: (error as Error).message.split('\n')[0]! });
    process.exitCode = 1;
  }
}
