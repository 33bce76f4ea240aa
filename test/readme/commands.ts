import type { Block } from './pages.js';

/** A command line of a block. */
export interface Command {
  readonly line: number;
  readonly text: string;
}

/** The commands of a block of `sh`: what `\` continues is one, comments are none. */
export function commandsOf({ text, line }: Block): Command[] {
  const commands: Command[] = [];
  let begun: Command | undefined;
  text.split('\n').forEach((part, at) => {
    const whole = begun === undefined ? part : `${begun.text} ${part.trim()}`;
    const start = begun?.line ?? line + at;
    begun = undefined;
    if (whole.endsWith('\\')) begun = { line: start, text: whole.slice(0, -1).trimEnd() };
    else if (whole.trim() !== '') commands.push({ line: start, text: whole.trim() });
  });
  if (begun !== undefined) throw new Error(`line ${line}: the last command goes on nowhere`);
  return commands
    .map(({ text: whole, ...rest }) => ({ ...rest, text: withoutComment(whole) }))
    .filter(({ text: whole }) => whole !== '');
}

function withoutComment(text: string): string {
  return text.replace(/\s+#\s.*$/, '').replace(/^#.*$/, '');
}

/** Words of a command, quoted ones without their quotes. */
export function wordsOf(text: string): string[] {
  return [...text.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
    ([, single, double, plain]) => single ?? double ?? plain!,
  );
}

/** Commands that are not run here, and why. */
const ELSEWHERE: readonly (readonly [RegExp, string])[] = [
  [/^npm start$/, 'is `lichen demo`, which test/cli runs'],
  [/^npm test$/, 'runs this test'],
  [/^npx lichen serve$/, 'trains on the whole catalogue; test/cli/serve.test.ts has lichen serve'],
  [/^cmake /, 'scripts/check.mjs builds the module where the CUDA compiler is'],
];

export type Kind =
  /** Runs in the process that runs programs. */
  | 'lichen'
  /** Runs on until the page has ended. */
  | 'service'
  /** Runs in a shell. */
  | 'shell'
  /** A suite of the benches, or packages to install: names and options are looked up. */
  | 'looked up'
  | 'elsewhere'
  | 'unknown';

export function kindOf(text: string): { kind: Kind; reason?: string } {
  const reason = ELSEWHERE.find(([pattern]) => pattern.test(text))?.[1];
  if (reason !== undefined) return { kind: 'elsewhere', reason };
  if (/^(?:npx )?lichen (?:serve|node) /.test(text)) return { kind: 'service' };
  if (/^(?:npx )?lichen /.test(text)) return { kind: 'lichen' };
  if (/^npm run (?:-s )?bench(?: -- |$)/.test(text)) return { kind: 'looked up' };
  if (/^npm install /.test(text)) return { kind: 'looked up' };
  if (/^(?:awk|curl|printf) /.test(text)) return { kind: 'shell' };
  return { kind: 'unknown' };
}

/** Options that make a command shorter, which is else as the page has it. */
const SHORTER: readonly (readonly [RegExp, readonly string[]])[] = [
  // A point is measured for 0.6 s else.
  [/^lichen sweep /, ['--seconds', '0.001', '--rounds', '1', '--limit', '50']],
  // Up to 180,000 vectors are made else.
  [/^lichen plan /, ['--rows', '200,400,800']],
  // There are thousands of users else.
  [
    /^lichen codesign /,
    ['--requests', '40', '--report-requests', '20', '--learners', '110', '--designs', '6'],
  ],
  [/^lichen train /, ['--epochs', '2']],
];

/** Arguments of `lichen` for a command of a page. */
export function argumentsOf(text: string): string[] {
  const added = SHORTER.find(([pattern]) => pattern.test(text))?.[1] ?? [];
  const words = wordsOf(text);
  return [...words.slice(words.indexOf('lichen') + 1), ...added];
}
