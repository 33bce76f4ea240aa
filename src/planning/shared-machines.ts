import { EventQueue } from './event-queue.js';

/** What a replica has to do. */
interface Job {
  readonly replica: number;
  readonly serviceUs: number;
  readonly done: (now: number) => void;
}

/** A machine's jobs that are being served, by how much each of them will have been served when it is done. */
interface Machine {
  readonly active: EventQueue<Job>;
  /** What a job would have been served that has been there from the beginning, in microseconds, and when that was so. */
  served: number;
  at: number;
  /** Which of its next ends still counts. */
  turn: number;
}

/**
 * Machines that several replicas share, as the scheduler of an operating system lets processes share processors: each
 * replica serves what comes in the order of coming, so many at once as the machine has processors, and all that is being
 * served on a machine gets the same part of its processors (processor sharing: Kleinrock, 1967).
 */
export class SharedMachines {
  readonly #machines: Machine[];
  readonly #waiting: Job[][];
  readonly #active: Uint32Array;
  readonly #busyUs: Float64Array;
  readonly #ends = new EventQueue<{ readonly machine: number; readonly turn: number }>();

  /** Replica r is on machine r % machines. */
  constructor(
    replicas: number,
    machines: number,
    private readonly processors: number,
  ) {
    this.#machines = Array.from({ length: machines }, () => {
      return { active: new EventQueue<Job>(), served: 0, at: 0, turn: 0 };
    });
    this.#waiting = Array.from({ length: replicas }, () => []);
    this.#active = new Uint32Array(replicas);
    this.#busyUs = new Float64Array(machines);
  }

  /** When something is done next, in microseconds; Infinity if nothing is to do. */
  get time(): number {
    return this.#ends.time;
  }

  /** The time of processors that was used on the machine that was used most, in microseconds. */
  get mostBusyUs(): number {
    return this.#busyUs.reduce((most, value) => Math.max(most, value), 0);
  }

  /** Jobs of a replica that are not done. */
  load(replica: number): number {
    return this.#active[replica]! + this.#waiting[replica]!.length;
  }

  add(now: number, job: Job): void {
    if (this.#active[job.replica]! >= this.processors) this.#waiting[job.replica]!.push(job);
    else {
      const at = job.replica % this.#machines.length;
      const machine = this.#advance(at, now);
      this.#serve(machine, job);
      this.#plan(at, machine);
    }
  }

  /** Does what is done at {@link time}. */
  next(): void {
    const { time } = this;
    const { machine: at, turn } = this.#ends.pop()!;
    if (this.#machines[at]!.turn !== turn) return;
    const machine = this.#advance(at, time);
    const job = machine.active.pop()!;
    this.#active[job.replica]!--;
    const waiting = this.#waiting[job.replica]!.shift();
    if (waiting !== undefined) this.#serve(machine, waiting);
    this.#plan(at, machine);
    job.done(time);
  }

  #serve(machine: Machine, job: Job): void {
    this.#active[job.replica]!++;
    machine.active.push(machine.served + job.serviceUs, job);
  }

  /** How fast every job of a machine goes on, of the whole speed of a processor. */
  #speed({ active }: Machine): number {
    return Math.min(1, this.processors / active.size);
  }

  #advance(at: number, now: number): Machine {
    const machine = this.#machines[at]!;
    if (machine.active.size > 0) {
      const served = (now - machine.at) * this.#speed(machine);
      machine.served += served;
      this.#busyUs[at]! += served * machine.active.size;
    }
    machine.at = now;
    return machine;
  }

  /** The end that was planned before counts no longer. */
  #plan(at: number, machine: Machine): void {
    const { active, served, at: now } = machine;
    const turn = ++machine.turn;
    if (active.size === 0) return;
    const end = now + Math.max(0, active.time - served) / this.#speed(machine);
    this.#ends.push(end, { machine: at, turn });
  }
}
