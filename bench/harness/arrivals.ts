import { readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import type { Random } from '../../src/index.js';

/** When requests come, in milliseconds from the start, ascending. */
export type Arrivals = Float64Array;

/** Independent of each other, so many a second: a Poisson process. */
export function poisson(rate: number, seconds: number, random: Random): Arrivals {
  return changing(() => rate, seconds, random);
}

/** A Poisson process whose rate is another at each time, which is given in milliseconds. */
export function changing(rate: (ms: number) => number, seconds: number, random: Random): Arrivals {
  const times: number[] = [];
  let at = 0;
  for (;;) {
    at -= (1000 * Math.log(1 - random.uniform())) / rate(at);
    if (at >= 1000 * seconds) return Float64Array.from(times);
    times.push(at);
  }
}

/** Bursts of 50 ms on average with 2.5 times as many requests, between them 100 ms with a quarter of them. */
export function bursty(rate: number, seconds: number, random: Random): Arrivals {
  let isBurst = false;
  let until = 0;
  return changing(
    (ms) => {
      while (ms >= until) {
        isBurst = !isBurst;
        until += -(isBurst ? 50 : 100) * Math.log(1 - random.uniform());
      }
      return rate * (isBurst ? 2.5 : 0.25);
    },
    seconds,
    random,
  );
}

/** Gaps that were recorded, faster or slower so that they come to the rate, over and over. */
export function recorded(gaps: Float64Array, rate: number, seconds: number): Arrivals {
  const mean = gaps.reduce((sum, gap) => sum + gap, 0) / gaps.length;
  const times: number[] = [];
  let at = 0;
  for (let next = 0; ; next = (next + 1) % gaps.length) {
    at += (gaps[next]! / mean) * (1000 / rate);
    if (at >= 1000 * seconds) return Float64Array.from(times);
    times.push(at);
  }
}

/** The gaps between the times in the first column of a csv, also gzipped; what comes out of order is put in order. */
export function readGaps(path: string): Float64Array {
  const bytes = readFileSync(path);
  const text = (path.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  const times = text
    .split('\n')
    .slice(1)
    .map((line) => line.split(',')[0]!.trim())
    .filter((time) => time !== '')
    // Date takes milliseconds; the rest of the digits is added.
    .map(
      (time) =>
        Date.parse(`${time.slice(0, 23).replace(' ', 'T')}Z`) + Number(`0.${time.slice(23) || 0}`),
    )
    .sort((a, b) => a - b);
  return Float64Array.from({ length: times.length - 1 }, (_, at) => times[at + 1]! - times[at]!);
}
