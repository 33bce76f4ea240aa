// Comments of a program that tell a result become checks of it.

const VALUE = /^(?:[[{'"\d-]|(?:true|false|undefined|null)$|[A-Z]\w*Array \[)/;
const ON_ITS_OWN = /^(\s*)\/\/ ([A-Za-z_]\w*(?:[.[][\w\].]*)?): (.+)$/;
const BEHIND = /^(\s*)([A-Za-z_][^\s;=]*); \/\/ (.+)$/;

/**
 * Puts calls of `told(what, value, text)` in the place of comments that tell a result: `// keys: ['east']` on a line of its
 * own, and `cache.get(7); // 'So What'`. Lines stay where they are.
 */
export function withChecks(program: string): string {
  return program
    .split('\n')
    .map((line) => {
      const [, indent, what, value] = ON_ITS_OWN.exec(line) ?? BEHIND.exec(line) ?? [];
      if (value === undefined || !VALUE.test(value)) return line;
      return `${indent}told(${JSON.stringify(what)}, ${what}, ${JSON.stringify(value)});`;
    })
    .join('\n');
}

/** Whether a value, as `inspect` shows it, is what a comment tells; `…` stands for anything. */
export function isTold(shown: string, text: string): boolean {
  const plain = (given: string): string =>
    given
      .replace(/\b(\w+)\(\d+\) (?=[[{])/g, '$1 ')
      .replace(/\s+/g, ' ')
      .replace(/([[{]) /g, '$1')
      .replace(/ ([\]}])/g, '$1');
  const pattern = plain(text)
    .split('…')
    .map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
    .join('.*');
  return new RegExp(`^${pattern}$`).test(plain(shown));
}
