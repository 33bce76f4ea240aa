import { Deque, type MayGo } from './deque.js';

/** What a queue has to know of a request. */
export interface Queued extends MayGo {
  /** Higher ones go first. */
  readonly priority: number;
  readonly tenant: string;
  /** As of `performance.now`. */
  readonly arrivedAt: number;
}

/** The requests of a tenant, in order of calls. */
interface Line<R extends Queued> extends MayGo {
  readonly tenant: string;
  readonly requests: Deque<R>;
}

/** The requests of a priority: a line for each tenant, which take turns. */
interface Lane<R extends Queued> {
  readonly priority: number;
  readonly lines: Map<string, Line<R>>;
  readonly turns: Deque<Line<R>>;
  size: number;
}

/** Requests that wait: the highest priority first, of that the tenants in turn, of each in order of calls. */
export class RequestQueue<R extends Queued> {
  /** The highest priority first. */
  private readonly lanes: Lane<R>[] = [];
  private readonly arrivals = new Deque<R>();

  get size(): number {
    return this.arrivals.size;
  }

  /** The one that has waited longest. */
  oldest(): R | undefined {
    return this.arrivals.first();
  }

  /** The one that {@link take} would take. */
  next(): R | undefined {
    const lane = this.lanes.find(({ size }) => size > 0);
    if (lane === undefined) return undefined;
    for (;;) {
      const line = lane.turns.first()!;
      const request = line.requests.first();
      if (request !== undefined) return request;
      lane.turns.shift();
      lane.lines.delete(line.tenant);
    }
  }

  add(request: R): void {
    const lane = this.laneOf(request.priority);
    let line = lane.lines.get(request.tenant);
    if (line === undefined) {
      line = { tenant: request.tenant, requests: new Deque(), isGone: false };
      lane.lines.set(request.tenant, line);
      lane.turns.push(line);
    }
    request.isGone = false;
    line.requests.push(request);
    lane.size++;
    this.arrivals.push(request);
  }

  /** Takes the next one out. */
  take(): R | undefined {
    const request = this.next();
    if (request === undefined) return undefined;
    const lane = this.laneOf(request.priority);
    const line = lane.turns.shift()!;
    line.requests.shift();
    lane.size--;
    this.leaves(request);
    if (line.requests.size > 0) lane.turns.push(line);
    else lane.lines.delete(line.tenant);
    return request;
  }

  /** Takes one out that is in it. */
  remove(request: R): void {
    const lane = this.laneOf(request.priority);
    lane.size--;
    this.leaves(request);
    // Its line keeps its turn: another request may come before that.
    lane.lines.get(request.tenant)!.requests.left();
  }

  /**
   * Of a full queue, the one that makes room for a newcomer: the latest of the tenant with the most requests of the lowest
   * priority, if that is lower, or if the newcomer's tenant has fewer. Undefined: the newcomer has to go.
   */
  displacedBy(priority: number, tenant: string): R | undefined {
    const lane = this.lanes.findLast(({ size }) => size > 0);
    if (lane === undefined || lane.priority > priority) return undefined;
    let longest: Line<R> | undefined;
    for (const line of lane.lines.values()) {
      if (longest === undefined || line.requests.size > longest.requests.size) longest = line;
    }
    if (lane.priority === priority) {
      const own = lane.lines.get(tenant)?.requests.size ?? 0;
      if (own + 1 >= longest!.requests.size) return undefined;
    }
    return longest!.requests.last();
  }

  /** In order of calls; they may leave meanwhile. */
  forEach(visit: (request: R) => void): void {
    for (const request of this.arrivals.toArray()) visit(request);
  }

  private leaves(request: R): void {
    request.isGone = true;
    this.arrivals.left();
  }

  private laneOf(priority: number): Lane<R> {
    let at = 0;
    while (at < this.lanes.length && this.lanes[at]!.priority > priority) at++;
    const found = this.lanes[at];
    if (found?.priority === priority) return found;
    const lane: Lane<R> = { priority, lines: new Map(), turns: new Deque(), size: 0 };
    this.lanes.splice(at, 0, lane);
    return lane;
  }
}
