import { describe, expect, it } from 'vitest';
import { Breaker } from '../../src/cache/breaker.js';
import { FakeClock } from './helpers.js';

describe('Breaker', () => {
  it('opens after three failures in a row, and lets one request try', () => {
    const clock = new FakeClock();
    const breaker = new Breaker(clock.now);
    for (const outcome of ['failed', 'failed', 'succeeded', 'failed', 'failed'] as const) {
      expect(breaker.tryPass()).toBe(true);
      breaker[outcome]();
    }
    expect(breaker.state).toBe('closed');
    breaker.tryPass();
    breaker.failed();
    expect(breaker.state).toBe('open');
    expect(breaker.tryPass()).toBe(false);
    clock.pass(249);
    expect(breaker.tryPass()).toBe(false);
    clock.pass(1);
    expect(breaker.state).toBe('half-open');
    expect(breaker.tryPass()).toBe(true);
    // Only one at a time.
    expect(breaker.tryPass()).toBe(false);
    breaker.succeeded();
    expect(breaker.state).toBe('closed');
    expect([breaker.tryPass(), breaker.tryPass()]).toEqual([true, true]);
  });

  it('waits twice as long after each try that fails, 5 seconds at most', () => {
    const clock = new FakeClock();
    const breaker = new Breaker(clock.now);
    for (let n = 0; n < 3; n++) breaker.failed();
    for (const pause of [250, 500, 1000, 2000, 4000, 5000, 5000]) {
      clock.pass(pause - 1);
      expect(breaker.tryPass()).toBe(false);
      clock.pass(1);
      expect(breaker.tryPass()).toBe(true);
      breaker.failed();
      expect(breaker.state).toBe('open');
    }
    clock.pass(5000);
    expect(breaker.tryPass()).toBe(true);
    breaker.succeeded();
    for (let n = 0; n < 3; n++) breaker.failed();
    clock.pass(250);
    expect(breaker.tryPass()).toBe(true);
  });

  it('opens when requests that ran at the same time fail', () => {
    const breaker = new Breaker(new FakeClock().now);
    for (let n = 0; n < 10; n++) expect(breaker.tryPass()).toBe(true);
    for (let n = 0; n < 10; n++) breaker.failed();
    expect(breaker.tryPass()).toBe(false);
  });
});
