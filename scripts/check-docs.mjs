// Checks that everything public says what it is: every exported name, every public member of classes and interfaces. Exported
// functions and classes have an example besides, and all examples compile.

import ts from 'typescript';
import { faultsOfExamples } from './doc-examples.mjs';
import {
  ENTRY_FILES,
  exportsOf,
  isHidden,
  membersOf,
  openProgram,
  writtenOut,
} from './public-api.mjs';

const NEEDS_EXAMPLE = ts.SymbolFlags.Class | ts.SymbolFlags.Function;

const program = openProgram(ENTRY_FILES.map(({ file }) => file));
const checker = program.getTypeChecker();
const hasText = (symbol) => symbol.getDocumentationComment(checker).length > 0;
const hasExample = (symbol) => symbol.getJsDocTags(checker).some(({ name }) => name === 'example');

const missing = [];
let count = 0;
const look = (entry, name, symbol) => {
  count++;
  if (!hasText(symbol)) missing.push(`${entry}: ${name} has no docstring`);
};
for (const { name: entry, file } of ENTRY_FILES) {
  for (const { name, symbol } of exportsOf(program, file)) {
    if (symbol.declarations.every(isHidden)) continue;
    look(entry, name, symbol);
    if ((symbol.flags & NEEDS_EXAMPLE) !== 0 && !hasExample(symbol)) {
      missing.push(`${entry}: ${name} has no @example`);
    }
    const members = [...membersOf(checker, symbol), ...writtenOut(checker, symbol, name)];
    for (const member of members) look(entry, member.path, member.symbol);
  }
}
const { examples, faults } = faultsOfExamples(program);
for (const line of missing) process.stdout.write(`${line}\n`);
process.stdout.write(faults);
if (missing.length > 0 || faults !== '' || examples === 0) process.exitCode = 1;
process.stdout.write(`${count} names and members, ${missing.length} gaps; ${examples} examples\n`);
