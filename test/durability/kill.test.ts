import { describe, expect, it } from 'vitest';
import { temporaryFolder } from '../vectors/temporary-folder.js';
import { killRounds } from './torture.js';

const ROUNDS = 12;

describe('a process that is killed', () => {
  const at = temporaryFolder();

  it('loses nothing that was acknowledged, and leaves no half of a change', async () => {
    const report = await killRounds(at('.'), ROUNDS, 2026);
    expect(report.rounds).toBe(ROUNDS);
    expect(report.acknowledged).toBeGreaterThan(ROUNDS);
  }, 120_000);
});
