import { getEventListeners } from 'node:events';
import { describe, expect, it } from 'vitest';
import { Flights } from '../../src/cache/flights.js';
import { settled, withCode } from './helpers.js';

const value = (byte: number) => ({ kind: 2, bytes: Uint8Array.of(byte) });

/** What became of a promise by now. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  const outcome = promise.then(
    () => 'fulfilled',
    () => 'rejected',
  );
  await settled();
  return Promise.race([outcome, Promise.resolve('pending')]);
}

describe('Flights', () => {
  it('hand one value to all who wait, and are over then', async () => {
    const flights = new Flights<string>();
    const group = flights.begin(['a', 'b']);
    const flight = flights.get('a')!;
    const waiting = [flights.join(flight, undefined), flights.join(flight, undefined)];
    expect(group.keys).toEqual(['a', 'b']);
    expect(group.land('a', value(1))).toBe(true);
    expect(await Promise.all(waiting)).toEqual([value(1), value(1)]);
    expect(group.keys).toEqual(['b']);
    expect(flights.get('a')).toBeUndefined();
    expect(flights.get('b')).toBeDefined();
  });

  it('fail for all who still wait', async () => {
    const flights = new Flights<string>();
    const group = flights.begin(['a', 'b']);
    const [a, b] = ['a', 'b'].map((key) => flights.join(flights.get(key)!, undefined));
    group.land('a', value(1));
    group.fail(new Error('broken'));
    await expect(a).resolves.toEqual(value(1));
    await expect(b).rejects.toThrow('broken');
    expect(flights.get('b')).toBeUndefined();
  });

  it('go on for the others when one waiter leaves, and are given up after the last', async () => {
    const flights = new Flights<string>();
    const group = flights.begin(['a']);
    const flight = flights.get('a')!;
    const [first, second] = [new AbortController(), new AbortController()];
    const one = flights.join(flight, first.signal);
    const two = flights.join(flight, second.signal);
    first.abort();
    await expect(one).rejects.toEqual(withCode('ERR_LICHEN_ABORTED'));
    expect(group.controller.signal.aborted).toBe(false);
    expect(await stateOf(two)).toBe('pending');
    second.abort(new Error('enough'));
    await expect(two).rejects.toMatchObject({
      code: 'ERR_LICHEN_ABORTED',
      cause: { message: 'enough' },
    });
    expect(group.controller.signal.aborted).toBe(true);
    expect(flights.get('a')).toBeUndefined();
  });

  it('go on without waiters if they are kept', async () => {
    const flights = new Flights<string>();
    const group = flights.begin(['a'], true);
    const controller = new AbortController();
    const waiting = flights.join(flights.get('a')!, controller.signal);
    controller.abort();
    await expect(waiting).rejects.toEqual(withCode('ERR_LICHEN_ABORTED'));
    expect(group.controller.signal.aborted).toBe(false);
    expect(flights.get('a')).toBeDefined();
  });

  it('are not to be stored once they are out of date, and let another begin', async () => {
    const flights = new Flights<string>();
    const old = flights.begin(['a']);
    const waiting = flights.join(flights.get('a')!, undefined);
    flights.outdate('a');
    expect(flights.get('a')).toBeUndefined();
    const fresh = flights.begin(['a']);
    expect(old.land('a', value(1))).toBe(false);
    await expect(waiting).resolves.toEqual(value(1));
    // The old one does not take the new one with it.
    expect(flights.get('a')).toBeDefined();
    expect(fresh.land('a', value(2))).toBe(true);
  });

  it('end with an error for all', async () => {
    const flights = new Flights<number>();
    const group = flights.begin([1, 2]);
    const waiting = [1, 2].map((key) => flights.join(flights.get(key)!, undefined));
    flights.end(new Error('closed'));
    for (const one of waiting) await expect(one).rejects.toThrow('closed');
    expect(group.controller.signal.aborted).toBe(true);
    expect(group.land(1, value(1))).toBe(false);
  });

  it('leave no listener on a signal', async () => {
    const flights = new Flights<number>();
    const { signal } = new AbortController();
    const listeners = (): number => getEventListeners(signal, 'abort').length;
    const group = flights.begin([1, 2]);
    const waiting = [1, 2].map((key) => flights.join(flights.get(key)!, signal));
    expect(listeners()).toBe(2);
    group.land(1, value(1));
    group.fail(new Error('no'));
    await Promise.allSettled(waiting);
    expect(listeners()).toBe(0);
  });

  it('are given up when those who still wait leave, though others were served before', async () => {
    const flights = new Flights<string>();
    const group = flights.begin(['a', 'b']);
    const { signal, abort } = abortable();
    const a = flights.join(flights.get('a')!, signal);
    const b = flights.join(flights.get('b')!, signal);
    group.land('a', value(1));
    await a;
    abort();
    await expect(b).rejects.toEqual(withCode('ERR_LICHEN_ABORTED'));
    expect(group.controller.signal.aborted).toBe(true);
  });

  it('are out of date after they were given up and the key was invalidated', async () => {
    const flights = new Flights<string>();
    const group = flights.begin(['a']);
    const { signal, abort } = abortable();
    const waiting = flights.join(flights.get('a')!, signal);
    abort();
    await expect(waiting).rejects.toEqual(withCode('ERR_LICHEN_ABORTED'));
    flights.outdate('a');
    // A loader that does not look at its signal.
    expect(group.land('a', value(1))).toBe(false);
  });
});

function abortable(): { signal: AbortSignal; abort: () => void } {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort() };
}
