#!/usr/bin/env node
import { CommanderError, type Command } from 'commander';
import { LichenError } from '../errors.js';
import { program } from './program.js';
import { interrupted } from './terminal.js';

/** Wrong usage, as opposed to a failure of the work itself. */
const USAGE_STATUS = 2;

/** One line on stderr: what went wrong and its code. */
function complain(what: string, code: string): void {
  process.stderr.write(`lichen: ${what.replace(/\s*\n\s*/g, ' ')} (${code})\n`);
}

async function main(): Promise<number> {
  // A reader that closes the pipe early, such as head, is no failure; files are written nevertheless.
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
    });
  }
  const root = program();
  try {
    if (process.argv.length < 3) throw new CommanderError(1, 'lichen.noCommand', usage(root));
    await root.parseAsync();
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      complain(error.message.replace(/^error: /, ''), 'ERR_LICHEN_ARGUMENT');
      return USAGE_STATUS;
    }
    const stop = interrupted();
    if (stop !== undefined && isAbort(error)) {
      const kept = stop.kept === undefined ? '' : `; ${stop.kept}`;
      complain(`interrupted by ${stop.signal}${kept}`, 'ERR_LICHEN_ABORTED');
      return stop.status;
    }
    if (error instanceof LichenError) {
      complain(error.message, error.code);
      return 1;
    }
    complain(error instanceof Error ? error.message : String(error), 'ERR_LICHEN_INTERNAL');
    if (process.env['LICHEN_DEBUG'] !== undefined) console.error(error);
    return 1;
  }
}

/** Whether work gave up because it was told to. */
function isAbort(error: unknown): boolean {
  const { code, name, message } = error as { code?: unknown; name?: unknown; message?: unknown };
  return code === 'ERR_LICHEN_ABORTED' || name === 'AbortError' || message === 'interrupted';
}

function usage(root: Command): string {
  const names = root.commands.map((command) => command.name()).join(', ');
  return `expected a command (${names}); lichen --help tells more`;
}

// A promise that is never settled keeps no process alive: that must not look like success.
let isDone = false;
process.once('exit', () => {
  if (isDone) return;
  complain('ended before its work was done: something never answered', 'ERR_LICHEN_INTERNAL');
  process.exitCode = 1;
});

void main().then((status) => {
  isDone = true;
  process.exitCode = status;
});
