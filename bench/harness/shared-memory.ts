import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Result } from './suite.js';

const CHILD = join(__dirname, 'shared-memory-child.ts');

/** Memory of some processes that map one file and have read all of it; none where the system does not tell. */
export async function sharedMemory(path: string, readers: number): Promise<Result[]> {
  if (process.platform !== 'linux') return [];
  const children = Array.from({ length: readers }, () =>
    spawn(process.execPath, [...process.execArgv, CHILD, path], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const results: Result[] = [];
  try {
    await Promise.all(
      children.map(
        (child) =>
          new Promise<void>((resolve, reject) => {
            createInterface({ input: child.stdout }).once('line', () => resolve());
            child.once('exit', () => reject(new Error('a reader has ended')));
          }),
      ),
    );
    const of = children.map(({ pid }) => mappedBytes(pid!, path));
    const total = (name: 'pss' | 'rss'): number => of.reduce((sum, one) => sum + one[name], 0);
    const add = (name: string, value: number): void => {
      const values = { median: value, min: value, max: value };
      results.push({ name, section: 'mapped by some processes', ...values, unit: 'bytes' });
    };
    add('a process sees', of[0]!.rss);
    add(`${readers} processes take, pages that they share counted once`, total('pss'));
  } finally {
    for (const child of children) {
      child.removeAllListeners('exit');
      child.stdin.end();
    }
  }
  return results;
}

/** Resident bytes of a mapping, and the process's share of them. */
function mappedBytes(pid: number, path: string): { rss: number; pss: number } {
  let isOurs = false;
  const sums = { rss: 0, pss: 0 };
  for (const line of readFileSync(`/proc/${pid}/smaps`, 'utf8').split('\n')) {
    if (/^[0-9a-f]+-[0-9a-f]+ /.test(line)) isOurs = line.endsWith(path);
    const field = /^(Rss|Pss): +(\d+) kB/.exec(line);
    if (!isOurs || field === null) continue;
    sums[field[1] === 'Rss' ? 'rss' : 'pss'] += Number(field[2]) * 1024;
  }
  return sums;
}
