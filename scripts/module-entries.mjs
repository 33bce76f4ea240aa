// Makes the entry points for `import`: beside each compiled one an ES module that passes its names on, and types for it.
// What it passes on is what `require` gives: a process has one LichenError and one addon, however lichen is loaded.

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { ENTRIES } from './entries.mjs';

/** The names of values that a source file exports, read from its text: types are marked as such. */
function valuesOf(path) {
  const source = ts.createSourceFile(path, readFileSync(path, 'utf8'), ts.ScriptTarget.Latest);
  return source.statements.flatMap((statement) => {
    if (ts.isExportDeclaration(statement)) return valuesPassedOn(path, statement);
    const isExported = statement.modifiers?.some(
      ({ kind }) => kind === ts.SyntaxKind.ExportKeyword,
    );
    if (!isExported || ts.isInterfaceDeclaration(statement)) return [];
    if (ts.isTypeAliasDeclaration(statement)) return [];
    if (ts.isVariableStatement(statement)) {
      return statement.declarationList.declarations.map(({ name }) => name.text);
    }
    return [statement.name.text];
  });
}

function valuesPassedOn(path, { isTypeOnly, exportClause, moduleSpecifier }) {
  if (isTypeOnly) return [];
  if (exportClause === undefined) {
    return valuesOf(join(dirname(path), moduleSpecifier.text.replace(/\.js$/, '.ts')));
  }
  return exportClause.elements.filter((one) => !one.isTypeOnly).map(({ name }) => name.text);
}

for (const { room, conditions } of ENTRIES) {
  const names = valuesOf(join('src', room, 'index.ts')).sort();
  const list = names.map((name) => `  ${name},\n`).join('');
  writeFileSync(conditions.import, `export {\n${list}} from './index.js';\n`);
  writeFileSync(conditions.import.replace(/\.mjs$/, '.d.mts'), "export * from './index.js';\n");
}
