/** Events in order of their time; those of one time come out in the order they were put in. */
export class EventQueue<E> {
  private readonly times: number[] = [];
  private readonly orders: number[] = [];
  private readonly events: E[] = [];
  private next = 0;

  get size(): number {
    return this.times.length;
  }

  /** When the first event is; Infinity if there is none. */
  get time(): number {
    return this.times[0] ?? Infinity;
  }

  push(time: number, event: E): void {
    let at = this.times.length;
    const order = this.next++;
    this.times.push(time);
    this.orders.push(order);
    this.events.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(at, parent)) break;
      this.swap(at, parent);
      at = parent;
    }
  }

  /** Takes the first event out. */
  pop(): E | undefined {
    const event = this.events[0];
    const last = this.times.length - 1;
    if (last < 0) return undefined;
    this.swap(0, last);
    this.times.pop();
    this.orders.pop();
    this.events.pop();
    let at = 0;
    for (;;) {
      const child = 2 * at + 1;
      if (child >= last) break;
      const least = child + 1 < last && this.isBefore(child + 1, child) ? child + 1 : child;
      if (!this.isBefore(least, at)) break;
      this.swap(at, least);
      at = least;
    }
    return event;
  }

  private isBefore(a: number, b: number): boolean {
    const [one, other] = [this.times[a]!, this.times[b]!];
    return one < other || (one === other && this.orders[a]! < this.orders[b]!);
  }

  private swap(a: number, b: number): void {
    for (const list of [this.times, this.orders, this.events] as unknown[][]) {
      const held = list[a];
      list[a] = list[b];
      list[b] = held;
    }
  }
}
