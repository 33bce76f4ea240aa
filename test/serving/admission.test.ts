import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Admission, type AdmissionOptions } from '../../src/serving/admission.js';
import { pass, stopTime } from '../batching/helpers.js';

beforeEach(stopTime);
afterEach(() => {
  vi.useRealTimers();
});

const OPTIONS: AdmissionOptions = { sloMs: 100, initial: 100, least: 4, most: 1000 };

function admission(changes: Partial<AdmissionOptions> = {}): Admission {
  return new Admission({ ...OPTIONS, ...changes });
}

/** How many are let in one after the other before one is refused; all of them stay. */
function fill(service: Admission, priority = 0, tenant: (at: number) => string = () => ''): number {
  for (let at = 0; ; at++) {
    try {
      service.enter(priority, tenant(at));
    } catch (error) {
      expect(error).toMatchObject({ code: 'ERR_LICHEN_OVERLOADED' });
      return at;
    }
  }
}

/** A window in which so many requests, side by side, take so long. */
async function window(service: Admission, count: number, ms: number | undefined): Promise<void> {
  let entered = 0;
  try {
    for (; entered < count; entered++) service.enter(1, '');
  } catch {
    // There are not so many places.
  }
  await pass(100);
  for (let at = 0; at < entered; at++) service.leave('', ms);
}

describe('priorities', () => {
  it.each([
    [-100, 70],
    [-1, 70],
    [0, 90],
    [1, 100],
    [100, 100],
  ])('of %i fill %i percent of the limit', (priority, places) => {
    expect(fill(admission(), priority)).toBe(places);
  });

  it('of the higher are still let in when the lower ones are not', () => {
    const service = admission();
    expect(fill(service, -5)).toBe(70);
    expect(fill(service, 0)).toBe(20);
    expect(fill(service, 5)).toBe(10);
    expect(fill(service, 0)).toBe(0);
    expect(service.stats()).toEqual({ inFlight: 100, limit: 100, admitted: 100, shed: 4 });
    expect(service.load).toBe(1);
  });

  it('below 0 do not take the places of others: those of priority 0 fill 90 percent before', () => {
    const service = admission();
    expect(fill(service, 0)).toBe(90);
    expect(fill(service, -1)).toBe(0);
  });
});

describe('one request', () => {
  it.each([-100, 0, 100])('of priority %i is always let in', (priority) => {
    const service = admission({ initial: 1, least: 1, most: 1 });
    for (let round = 0; round < 3; round++) {
      service.enter(priority, 'a');
      expect(() => service.enter(priority, 'b')).toThrow(
        expect.objectContaining({ code: 'ERR_LICHEN_OVERLOADED' }),
      );
      service.leave('a', 1);
    }
    expect(service.stats()).toEqual({ inFlight: 0, limit: 1, admitted: 3, shed: 3 });
  });

  it('gives its place back when it ends, whatever that says of the service', () => {
    const service = admission({ initial: 4, most: 4 });
    expect(fill(service, 1)).toBe(4);
    service.leave('', undefined);
    expect(fill(service, 1)).toBe(1);
  });
});

describe('tenants', () => {
  it('share the limit equally when it is nearly full', () => {
    const service = admission();
    // Alone it has all that its priority allows.
    expect(fill(service, 0, () => 'greedy')).toBe(90);
    for (let at = 0; at < 30; at++) service.leave('greedy', undefined);
    // 60 at work. With another one, its part is 50, and it has that already once three quarters are reached.
    service.enter(0, 'modest');
    expect(fill(service, 0, () => 'greedy')).toBe(14);
    expect(service.load).toBe(0.75);
    expect(fill(service, 0, () => 'modest')).toBe(15);
    expect(service.inFlight).toBe(90);
  });

  it('have at least one place each while there is room', () => {
    const service = admission({ initial: 10, most: 10 });
    const names = Array.from({ length: 30 }, (_, at) => `tenant ${at}`);
    const entered = names.filter((name) => {
      try {
        service.enter(1, name);
        return true;
      } catch {
        return false;
      }
    });
    expect(entered).toHaveLength(10);
    expect(entered).toEqual(names.slice(0, 10));
    service.leave(entered[0]!, undefined);
    service.enter(1, 'tenant 29');
  });

  it('that have gone do not count', () => {
    const service = admission({ initial: 8, most: 8 });
    service.enter(1, 'a');
    service.leave('a', undefined);
    expect(fill(service, 1, () => 'b')).toBe(8);
  });

  it('may be called anything', () => {
    const service = admission({ initial: 8, most: 8 });
    for (const name of ['__proto__', 'constructor', '', 'toString', '\u0000'])
      service.enter(1, name);
    for (const name of ['__proto__', 'constructor', '', 'toString', '\u0000'])
      service.leave(name, 1);
    expect(service.inFlight).toBe(0);
    expect(fill(service, 1, () => '__proto__')).toBe(8);
  });
});

describe('the limit', () => {
  it('grows while it is reached and requests are fast, up to the most', async () => {
    const service = admission({ initial: 20, most: 60 });
    let before = 20;
    for (let round = 0; round < 60 && before < 60; round++) {
      await window(service, 1000, 5);
      const { limit } = service.stats();
      expect(limit).toBeGreaterThan(before);
      // Not by leaps.
      expect(limit).toBeLessThanOrEqual(Math.ceil(Math.max(before + 2, before * 1.1)));
      before = limit;
    }
    expect(before).toBe(60);
    await window(service, 1000, 5);
    expect(service.stats().limit).toBe(60);
  });

  it('stays as it is while it is not reached', async () => {
    const service = admission();
    for (let round = 0; round < 10; round++) await window(service, 50, 1);
    expect(service.stats()).toMatchObject({ limit: 100, shed: 0, admitted: 500 });
  });

  it('grows when requests were refused, also if they were of low priority', async () => {
    const service = admission();
    fill(service, -1);
    await pass(100);
    for (let at = 0; at < 70; at++) service.leave('', 1);
    expect(service.stats().limit).toBeGreaterThan(100);
  });

  it('shrinks when requests are slow, the more the slower they are, down to the least', async () => {
    const [slower, slow] = [admission(), admission()];
    await window(slow, 50, 66);
    await window(slower, 50, 72);
    expect(slow.stats().limit).toBeLessThan(100);
    expect(slower.stats().limit).toBeLessThan(slow.stats().limit);
    // To where they would have taken three fifths of the SLO.
    expect(slow.stats().limit).toBe(Math.floor(100 * (60 / 66)));
    expect(slower.stats().limit).toBe(Math.floor(100 * (60 / 72)));
    for (let round = 0; round < 40; round++) await window(slower, 12, 10_000);
    expect(slower.stats().limit).toBeLessThan(15);
  });

  it('is never below the least, nor at nothing after one disaster', async () => {
    const service = admission({ initial: 20, least: 15 });
    await window(service, 15, 1e9);
    expect(service.stats().limit).toBeGreaterThanOrEqual(15);
    for (let round = 0; round < 20; round++) await window(service, 15, 1e9);
    expect(service.stats().limit).toBe(15);
    const other = admission();
    await window(other, 50, 1e9);
    expect(other.stats().limit).toBeGreaterThanOrEqual(75);
  });

  it('is not shrunk by few slow ones among many', async () => {
    const service = admission();
    for (let at = 0; at < 100; at++) service.enter(1, '');
    await pass(100);
    for (let at = 0; at < 4; at++) service.leave('', 5000);
    for (let at = 0; at < 95; at++) service.leave('', 5);
    const { limit } = service.stats();
    service.leave('', 5);
    expect(limit).toBeGreaterThanOrEqual(80);
    await pass(100);
    await window(service, 100, 5);
    expect(service.stats().limit).toBeGreaterThan(limit);
  });

  it('learns nothing of requests that tell nothing, or of few', async () => {
    const service = admission();
    for (let round = 0; round < 10; round++) await window(service, 60, undefined);
    for (let at = 0; at < 9; at++) await window(service, 1, 1e6);
    expect(service.stats().limit).toBe(100);
    await window(service, 1, 1e6);
    expect(service.stats().limit).toBeLessThan(100);
  });

  it('recovers after slow times', async () => {
    const service = admission({ initial: 50, most: 100 });
    for (let round = 0; round < 20; round++) await window(service, 1000, 500);
    const low = service.stats().limit;
    expect(low).toBeLessThan(25);
    for (let round = 0; round < 100; round++) await window(service, 1000, 5);
    expect(service.stats().limit).toBe(100);
  });

  it('goes down to the least when nothing keeps it up, and still lets requests in', async () => {
    const service = admission({ initial: 20, least: 1 });
    for (let round = 0; round < 200; round++) {
      for (let at = 0; at < 10; at++) {
        service.enter(-1, 'a');
        await pass(20);
        service.leave('a', 1e6);
      }
    }
    expect(service.stats()).toMatchObject({ limit: 1, admitted: 2000, shed: 0, inFlight: 0 });
  });
});
