import { describe, expect, it } from 'vitest';
import { LinkWatch } from '../../src/cluster/link-watch.js';

describe('a connection that is of no use', () => {
  function watched() {
    const state = { now: 0, moves: 0 };
    const connection = {
      isClosed: () => false,
      reconnect: () => Promise.resolve(void state.moves++),
    };
    return { state, watch: new LinkWatch(connection, 2000, () => state.now) };
  }

  it('is left after a while of silence', () => {
    const { state, watch } = watched();
    for (const now of [0, 1000, 1999]) {
      state.now = now;
      watch.silent();
    }
    expect(state.moves).toBe(0);
    state.now = 2000;
    watch.silent();
    expect(state.moves).toBe(1);
  });

  it('is kept when something comes in between', () => {
    const { state, watch } = watched();
    for (let now = 0; now < 10_000; now += 500) {
      state.now = now;
      if (now % 1500 === 0) watch.fine();
      else watch.silent();
    }
    expect(state.moves).toBe(0);
  });

  it('is not left again at once when it is no better elsewhere', () => {
    const { state, watch } = watched();
    for (let now = 0; now < 30_000; now += 500) {
      state.now = now;
      watch.silent();
    }
    expect(state.moves).toBe(3);
  });
});
