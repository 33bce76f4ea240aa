import { describe, expect, it } from 'vitest';
import { ProgressBar } from '../../src/cli/progress-bar.js';

/** A terminal whose line a test can read, with a clock that stands still until told otherwise. */
function terminal(columns: number) {
  let line = '';
  const state = {
    now: 0,
    writes: 0,
    columns,
    /** What a person sees. */
    get line() {
      return line;
    },
    write(text: string) {
      state.writes++;
      expect(text.startsWith('\r\u001b[K')).toBe(true);
      line = text.slice(4);
    },
  };
  return state;
}

const barOn = (screen: ReturnType<typeof terminal>, started = 0) =>
  new ProgressBar('building', screen, started, () => screen.now);

describe('a progress bar', () => {
  it('shows how far work is and, by the time that it took, how long it will take', () => {
    const screen = terminal(100);
    const bar = barOn(screen, -5000);
    screen.now = 5000;
    bar.update(25, 100);
    expect(screen.line).toBe(`building [${'='.repeat(10)}${'-'.repeat(30)}] 25% | 30s left`);
    screen.now = 6000;
    bar.update(1, 1000);
    expect(screen.line).toBe(`building [${'-'.repeat(40)}] 0% | 3h 3m left`);
    screen.now = 7000;
    bar.update(10, 100);
    expect(screen.line).toMatch(/ 10% \| 1m 48s left$/);
    screen.now = 8000;
    bar.update(0, 100);
    expect(screen.line).toMatch(/ 0%$/);
    screen.now = 9000;
    bar.update(120, 100);
    expect(screen.line).toBe(`building [${'='.repeat(40)}] 100% | 0s left`);
  });

  it('is drawn ten times a second at most, and leaves nothing behind', () => {
    const screen = terminal(100);
    const bar = barOn(screen);
    for (screen.now = 0; screen.now < 1000; screen.now++) bar.update(screen.now, 1000);
    expect(screen.writes).toBe(10);
    bar.clear();
    expect(screen.line).toBe('');
  });

  it('never wraps', () => {
    const screen = terminal(30);
    const bar = barOn(screen);
    screen.now = 1000;
    bar.update(50, 100);
    expect(screen.line).toBe(`building [${'='.repeat(19)}`);
  });
});
