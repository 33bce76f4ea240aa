import { describe, expect, it, vi } from 'vitest';
import { Lease } from '../../src/index/lease.js';
import { gate } from './helpers.js';

function leased() {
  const end = vi.fn<(value: { name: string }) => void>();
  const lease = new Lease({ name: 'value' }, end);
  return { lease, end };
}

describe('a lease', () => {
  it('ends its value at once when it is left and nobody uses it', () => {
    const { lease, end } = leased();
    expect(lease.use(({ name }) => name)).toBe('value');
    expect(end).not.toHaveBeenCalled();
    lease.leave();
    expect(end).toHaveBeenCalledExactlyOnceWith({ name: 'value' });
  });

  it('ends it once, however often it is left', () => {
    const { lease, end } = leased();
    lease.leave();
    lease.leave();
    expect(end).toHaveBeenCalledTimes(1);
  });

  it('ends it after the last request that had begun', async () => {
    const { lease, end } = leased();
    const [one, other] = [gate<number>(), gate<number>()];
    const first = lease.use(() => one.promise);
    const second = lease.use(() => other.promise);
    lease.leave();
    one.open(1);
    expect(await first).toBe(1);
    expect(end).not.toHaveBeenCalled();
    other.open(2);
    expect(await second).toBe(2);
    expect(end).toHaveBeenCalledTimes(1);
  });

  it('ends it also when requests fail, now or later', async () => {
    const { lease, end } = leased();
    const failing = gate();
    const result = lease.use(() => failing.promise);
    expect(() =>
      lease.use(() => {
        throw new RangeError('now');
      }),
    ).toThrow(RangeError);
    lease.leave();
    expect(end).not.toHaveBeenCalled();
    failing.fail(new TypeError('later'));
    await expect(result).rejects.toThrow(TypeError);
    expect(end).toHaveBeenCalledTimes(1);
  });

  it('serves requests while others keep the value open, and none after that', async () => {
    const { lease, end } = leased();
    const long = gate();
    const first = lease.use(() => long.promise);
    lease.leave();
    expect(lease.use(() => 5)).toBe(5);
    expect(end).not.toHaveBeenCalled();
    long.open();
    await first;
    expect(end).toHaveBeenCalledTimes(1);
    const request = vi.fn<() => void>();
    expect(() => lease.use(request)).toThrow(
      expect.objectContaining({ code: 'ERR_LICHEN_CLOSED' }),
    );
    expect(request).not.toHaveBeenCalled();
    expect(end).toHaveBeenCalledTimes(1);
  });

  it('can be left from within a request', () => {
    const { lease, end } = leased();
    lease.use(() => {
      lease.leave();
      expect(end).not.toHaveBeenCalled();
    });
    expect(end).toHaveBeenCalledTimes(1);
  });

  it('can be used from within a request', async () => {
    const { lease, end } = leased();
    const inner = gate();
    const result = lease.use(() => lease.use(() => inner.promise));
    lease.leave();
    inner.open();
    await result;
    expect(end).toHaveBeenCalledTimes(1);
  });
});
