// Runs programs and commands of pages in one process, one after another, each in its page's folder: most of the time of a
// command line is the start of Node.js. Steps come as a message, and what became of each goes back as one.

import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { inspect } from 'node:util';
import { isTold } from './told.js';

/** What is to be run. */
export type Step =
  | { id: string; kind: 'folder'; path: string }
  | { id: string; kind: 'program'; path: string }
  | { id: string; kind: 'lichen'; args: string[] }
  | { id: string; kind: 'service'; args: string[]; until: string }
  | { id: string; kind: 'shell'; text: string }
  | { id: string; kind: 'end' };

/** What became of a step. */
export interface Outcome {
  readonly id: string;
  readonly error?: string;
  /** Checks of results that the program told. */
  readonly checks: number;
}

const PATIENCE_MS = 60_000;
const { MAIN = '' } = process.env;
const load = createRequire(MAIN);
const services: ChildProcess[] = [];
let address = '';
let checks = 0;

Object.assign(globalThis, {
  told: (what: string, value: unknown, text: string): void => {
    checks++;
    const shown = inspect(value, { breakLength: Infinity, depth: 9, maxArrayLength: 100 });
    if (!isTold(shown, text)) throw new Error(`${what} is ${shown}, and the page says ${text}`);
  },
});

function statusOf(): string | number | null | undefined {
  return process.exitCode;
}

/** Runs the command line in this process, as its main module does when it is loaded. */
async function runLichen(args: readonly string[]): Promise<void> {
  const before = process.argv;
  const written: string[] = [];
  const streams = [process.stdout, process.stderr].map((stream) => {
    const write = stream.write.bind(stream);
    stream.write = (text: string | Uint8Array) => {
      written.push(String(text));
      return true;
    };
    return () => void (stream.write = write);
  });
  process.argv = [process.execPath, MAIN, ...args];
  process.exitCode = undefined;
  try {
    delete load.cache[MAIN];
    load(MAIN);
    // The main module tells its status when it is done.
    while (statusOf() === undefined) await new Promise((done) => setTimeout(done, 2));
    if (statusOf() !== 0) throw new Error(`status ${statusOf()}: ${written.join('')}`);
  } finally {
    for (const restore of streams) restore();
    process.argv = before;
    process.exitCode = undefined;
    for (const signal of ['SIGINT', 'SIGTERM']) process.removeAllListeners(signal);
    process.stdout.removeAllListeners('error');
  }
}

/** Starts a command that runs on, until it has said what is waited for. */
async function startService(args: readonly string[], until: string): Promise<void> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  services.push(child);
  let said = '';
  await new Promise<void>((resolve, reject) => {
    const hear = (text: Buffer): void => {
      said += text.toString();
      const found = new RegExp(until).exec(said);
      if (found === null) return;
      address = found[1] ?? '';
      resolve();
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', (status) => reject(new Error(`ended with ${status}: ${said}`)));
  });
}

async function endServices(): Promise<void> {
  for (const child of services.splice(0)) {
    child.removeAllListeners('exit');
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    const [status] = (await exit) as [number | null];
    // A shell's number of the signal.
    if (status !== 0 && status !== 143) throw new Error(`SIGTERM ended a service with ${status}`);
  }
}

async function runShell(text: string): Promise<void> {
  const command = text.replace('localhost:8080', address);
  const child = spawn('bash', ['-c', `set -e -o pipefail; ${command}`]);
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (part: Buffer) => (said += part.toString()));
  }
  const [status] = (await once(child, 'exit')) as [number | null];
  if (status !== 0 || said.includes('"error"')) throw new Error(`status ${status}: ${said}`);
}

async function run(step: Step): Promise<void> {
  switch (step.kind) {
    case 'folder':
      mkdirSync(step.path, { recursive: true });
      process.chdir(step.path);
      return;
    case 'program':
      await import(pathToFileURL(step.path).href);
      return;
    case 'lichen':
      return runLichen(step.args);
    case 'service':
      return startService(step.args, step.until);
    case 'shell':
      return runShell(step.text);
    case 'end':
      return endServices();
  }
}

process.once('message', (steps: Step[]) => {
  void (async () => {
    for (const step of steps) {
      checks = 0;
      let error: string | undefined;
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error('it does not end')), PATIENCE_MS);
      });
      try {
        await Promise.race([run(step), late]);
      } catch (thrown) {
        error = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
      }
      clearTimeout(timer);
      const outcome: Outcome = { id: step.id, checks, ...(error !== undefined && { error }) };
      process.send!(outcome);
    }
    await endServices();
    process.exit(0);
  })();
});
