import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Deque } from '../../src/batching/deque.js';
import { RequestQueue, type Queued } from '../../src/batching/request-queue.js';

interface Entry extends Queued {
  readonly id: number;
}

const entry = (id: number, priority = 0, tenant = ''): Entry => ({
  id,
  priority,
  tenant,
  arrivedAt: id,
  isGone: true,
});

/** The same by plain arrays: of each priority the tenants in the order of their turns. */
class Oracle {
  private lanes = new Map<number, { tenant: string; ids: number[] }[]>();
  private readonly arrivals: number[] = [];

  get size(): number {
    return this.arrivals.length;
  }

  oldest(): number | undefined {
    return this.arrivals[0];
  }

  add({ id, priority, tenant }: Entry): void {
    const lane = this.lanes.get(priority) ?? [];
    this.lanes.set(priority, lane);
    const line = lane.find((other) => other.tenant === tenant);
    if (line === undefined) lane.push({ tenant, ids: [id] });
    else line.ids.push(id);
    this.arrivals.push(id);
  }

  take(): number | undefined {
    const priority = Math.max(
      ...[...this.lanes].filter(([, lane]) => lane.some(hasIds)).map(([p]) => p),
    );
    const lane = this.lanes.get(priority);
    if (lane === undefined) return undefined;
    // A tenant whose requests have all gone keeps its turn until that comes.
    while (lane[0]!.ids.length === 0) lane.shift();
    const line = lane.shift()!;
    const id = line.ids.shift()!;
    if (line.ids.length > 0) lane.push(line);
    this.leaves(id);
    return id;
  }

  remove({ id, priority, tenant }: Entry): void {
    const line = this.lanes.get(priority)!.find((other) => other.tenant === tenant)!;
    line.ids.splice(line.ids.indexOf(id), 1);
    this.leaves(id);
  }

  private leaves(id: number): void {
    this.arrivals.splice(this.arrivals.indexOf(id), 1);
  }
}

const hasIds = ({ ids }: { ids: number[] }): boolean => ids.length > 0;

describe('RequestQueue', () => {
  it('gives what plain arrays give, whatever comes, is taken and leaves', () => {
    const step = fc.record({
      kind: fc.constantFrom('add', 'add', 'take', 'remove'),
      priority: fc.constantFrom(-1, 0, 0, 2),
      tenant: fc.constantFrom('a', 'b', 'c'),
      at: fc.nat(1000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
        const queue = new RequestQueue<Entry>();
        const oracle = new Oracle();
        const waiting = new Map<number, Entry>();
        for (const [id, { kind, priority, tenant, at }] of steps.entries()) {
          if (kind === 'add') {
            const added = entry(id, priority, tenant);
            waiting.set(id, added);
            queue.add(added);
            oracle.add(added);
          } else if (kind === 'take') {
            expect(queue.next()?.id).toBe(queue.next()?.id);
            const next = queue.next()?.id;
            const taken = queue.take()?.id;
            expect(taken).toBe(next);
            expect(taken).toBe(waiting.size === 0 ? undefined : oracle.take());
            if (taken !== undefined) waiting.delete(taken);
          } else if (waiting.size > 0) {
            const gone = [...waiting.values()][at % waiting.size]!;
            waiting.delete(gone.id);
            queue.remove(gone);
            oracle.remove(gone);
          }
          expect(queue.size).toBe(waiting.size);
          expect(queue.oldest()?.id).toBe(oracle.oldest());
          const seen: number[] = [];
          queue.forEach((request) => seen.push(request.id));
          expect(seen).toEqual([...waiting.keys()]);
        }
      }),
      { numRuns: 200 },
    );
  });

  it('lets tenants take turns, however many requests one has', () => {
    const queue = new RequestQueue<Entry>();
    for (let id = 0; id < 100; id++) queue.add(entry(id, 0, 'noisy'));
    queue.add(entry(100, 0, 'quiet'));
    queue.add(entry(101, 0, 'quiet'));
    expect(Array.from({ length: 5 }, () => queue.take()!.id)).toEqual([0, 100, 1, 101, 2]);
  });

  it('does not keep what has been taken', () => {
    const queue = new RequestQueue<Entry>();
    queue.add(entry(-1));
    for (let id = 0; id < 100_000; id++) {
      queue.add(entry(id, 0, `tenant ${id % 1000}`));
      queue.take();
    }
    expect(queue.size).toBe(1);
    // What it holds, as its own fields tell.
    expect(JSON.stringify(queue).length).toBeLessThan(10_000);
  });
});

describe('who makes room in a full queue', () => {
  const filled = (...entries: Entry[]): RequestQueue<Entry> => {
    const queue = new RequestQueue<Entry>();
    for (const each of entries) queue.add(each);
    return queue;
  };

  it('is the latest of a lower priority', () => {
    const queue = filled(entry(0, 0), entry(1, -1), entry(2, -1), entry(3, 1));
    expect(queue.displacedBy(0, '')?.id).toBe(2);
    expect(queue.displacedBy(5, 'x')?.id).toBe(2);
    expect(queue.displacedBy(-1, '')).toBeUndefined();
    expect(queue.displacedBy(-2, 'x')).toBeUndefined();
  });

  it('is the latest of the tenant with the most, if the newcomer has fewer', () => {
    const queue = filled(entry(0, 0, 'a'), entry(1, 0, 'a'), entry(2, 0, 'a'), entry(3, 0, 'b'));
    expect(queue.displacedBy(0, 'b')?.id).toBe(2);
    expect(queue.displacedBy(0, 'c')?.id).toBe(2);
    expect(queue.displacedBy(0, 'a')).toBeUndefined();
  });

  it('is nobody where that would only turn the tables', () => {
    const queue = filled(entry(0, 0, 'a'), entry(1, 0, 'a'), entry(2, 0, 'b'));
    // b would have two and a one.
    expect(queue.displacedBy(0, 'b')).toBeUndefined();
    expect(new RequestQueue<Entry>().displacedBy(0, '')).toBeUndefined();
  });

  it('is none that has gone', () => {
    const [first, second] = [entry(1, -1), entry(2, -1)];
    const queue = filled(entry(0), first, second);
    queue.remove(second);
    expect(queue.displacedBy(0, '')).toBe(first);
    queue.remove(first);
    expect(queue.displacedBy(0, '')).toBeUndefined();
  });
});

describe('Deque', () => {
  it('sweeps out what has gone from the middle', () => {
    const deque = new Deque<{ isGone: boolean }>();
    const stays = { isGone: false };
    deque.push(stays);
    for (let n = 0; n < 10_000; n++) {
      const goes = { isGone: false };
      deque.push(goes);
      goes.isGone = true;
      deque.left();
    }
    expect(deque.size).toBe(1);
    expect(JSON.stringify(deque).length).toBeLessThan(5000);
    expect(deque.last()).toBe(stays);
    expect(deque.shift()).toBe(stays);
    expect(deque.shift()).toBeUndefined();
    expect(deque.size).toBe(0);
  });
});
