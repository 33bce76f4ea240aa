import { describe, expect, it } from 'vitest';
import { encodeFrame } from '../../src/cluster/frame.js';
import { History } from '../../src/cluster/history.js';

const messageOf = (text: string) => encodeFrame({ text }, [], true);

describe('a history of changes', () => {
  it('has the same fingerprint for the same changes in the same order, and for no others', () => {
    const after = (...texts: string[]) => {
      const history = new History(0, 0);
      for (const text of texts) history.extend(messageOf(text));
      return history.fingerprint;
    };
    expect(after('a', 'b', 'c')).toBe(after('a', 'b', 'c'));
    const others = [after('a', 'c', 'b'), after('a', 'b'), after('b', 'c'), after('a', 'b', 'd')];
    const twice = after('a', 'b', 'b', 'c');
    expect(new Set([after('a', 'b', 'c'), twice, ...others]).size).toBe(6);
  });

  it('goes on from a snapshot as if it had been there from the beginning', () => {
    const whole = new History(0, 0);
    for (let at = 0; at < 7; at++) whole.extend(messageOf(`${at}`));
    const later = new History(4, whole.at(4)!);
    for (let at = 4; at < 7; at++) later.extend(messageOf(`${at}`));
    expect(later.fingerprint).toBe(whole.fingerprint);
    expect(later.at(5)).toBe(whole.at(5));
    expect(later.at(3)).toBeUndefined();
    expect(later.at(8)).toBeUndefined();
  });

  it('remembers the last changes only', () => {
    const history = new History(0, 0, 4);
    const seen = [0];
    for (let at = 0; at < 10; at++) {
      history.extend(messageOf(`${at}`));
      seen.push(history.fingerprint);
    }
    for (let at = 0; at <= 10; at++) expect(history.at(at)).toBe(at < 7 ? undefined : seen[at]);
  });

  it('takes messages that are none', () => {
    const history = new History(0, 0);
    history.extend(new Uint8Array());
    history.extend(Uint8Array.of(1));
    expect(Number.isSafeInteger(history.fingerprint)).toBe(true);
  });
});
