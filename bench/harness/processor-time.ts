import { readdirSync, readFileSync } from 'node:fs';

/**
 * Processor time of a process so far, all its threads, in microseconds; 0 where the system does not tell (Linux does) or the
 * process has ended. Other counters go by ticks, which are as long as many requests.
 */
export function processorUs(pid: number): number {
  try {
    let nanos = 0;
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8');
      nanos += Number(text.split(' ', 1)[0]);
    }
    return nanos / 1000;
  } catch {
    return 0;
  }
}

/** Processor time of the whole machine so far, in microseconds, to the tick; 0 where the system does not tell. */
export function machineUs(): number {
  try {
    // `cpu user nice system idle iowait irq softirq …`, in ticks of 10 ms.
    const [, user, nice, system, , , irq, softirq] = readFileSync('/proc/stat', 'utf8')
      .split('\n', 1)[0]!
      .split(/ +/)
      .map(Number);
    return 10_000 * (user! + nice! + system! + irq! + softirq!);
  } catch {
    return 0;
  }
}

/** Ids of the processes of a program that this process has started. */
export function childrenNamed(program: string): number[] {
  try {
    const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
    return pids.map(Number).filter((pid) => isChild(pid, program));
  } catch {
    return [];
  }
}

function isChild(pid: number, program: string): boolean {
  try {
    // `pid (program) state parent …`
    const [, name, rest] = /\((.*)\) (.*)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))!;
    return name === program && Number(rest!.split(' ')[1]) === process.pid;
  } catch {
    return false;
  }
}
