import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { nameOf, ROOT, type Block } from './pages.js';
import { withChecks } from './told.js';

/** Where {@link compilePrograms} puts the program that runs steps, and the folders of pages. */
export const RUNNER = 'run-steps.mjs';
/** In the checkout, so that programs find `lichen` and optional packages as those of a user do. */
export const BUILD = join(ROOT, 'build', 'readme');
const SOURCES = join(BUILD, 'source');
/** A folder a page, where its programs and commands run. */
export const SCRATCH = join(BUILD, 'scratch');
const GIVEN = join(__dirname, 'given');

/** A program of a page that was compiled, or what is wrong with it. */
export interface Program {
  readonly file: string;
  readonly errors: readonly string[];
}

/** The names that a file exports or declares at its top level. */
function namesIn(source: ts.SourceFile, isWanted: (statement: ts.Statement) => boolean): string[] {
  const names: string[] = [];
  const add = (name: ts.BindingName): void => {
    if (ts.isIdentifier(name)) names.push(name.text);
    else for (const element of name.elements) if (ts.isBindingElement(element)) add(element.name);
  };
  for (const statement of source.statements.filter(isWanted)) {
    if (ts.isVariableStatement(statement)) {
      for (const { name } of statement.declarationList.declarations) add(name);
    } else if (ts.isImportDeclaration(statement)) {
      const clause = statement.importClause;
      if (clause?.name !== undefined) add(clause.name);
      const bindings = clause?.namedBindings;
      if (bindings !== undefined && ts.isNamespaceImport(bindings)) add(bindings.name);
      else for (const { name } of bindings?.elements ?? []) add(name);
    } else if (
      ts.isFunctionDeclaration(statement) ||
      ts.isClassDeclaration(statement) ||
      ts.isInterfaceDeclaration(statement) ||
      ts.isTypeAliasDeclaration(statement)
    ) {
      if (statement.name !== undefined) add(statement.name);
    }
  }
  return names;
}

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.ES2022, true);
}

function identifiersOf(source: ts.SourceFile): Set<string> {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node)) found.add(node.text);
    node.forEachChild(visit);
  };
  visit(source);
  return found;
}

/** What a page's module of given/ has for its programs: names for all, and names for those that contain a text. */
interface Given {
  readonly names: readonly string[];
  readonly only: ReadonlyMap<string, readonly string[]>;
}

function givenOf(page: string): Given {
  const path = join(GIVEN, `${nameOf(page)}.mts`);
  if (!existsSync(path)) return { names: [], only: new Map() };
  const source = parse(path, readFileSync(path, 'utf8'));
  const isExported = (statement: ts.Statement): boolean =>
    ts.canHaveModifiers(statement) &&
    (ts.getModifiers(statement) ?? []).some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword);
  const only = new Map<string, string[]>();
  source.forEachChild(function visit(node): void {
    if (ts.isVariableDeclaration(node) && node.name.getText() === 'only') {
      const object = node.initializer as ts.ObjectLiteralExpression;
      for (const part of object.properties as ts.NodeArray<ts.PropertyAssignment>) {
        const names = (part.initializer as ts.ObjectLiteralExpression).properties.map((property) =>
          property.name!.getText(),
        );
        only.set((part.name as ts.StringLiteral).text, names);
      }
      return;
    }
    if (ts.isVariableStatement(node) || ts.isVariableDeclarationList(node))
      node.forEachChild(visit);
  });
  return { names: namesIn(source, isExported).filter((name) => name !== 'only'), only };
}

/** The program of a block as a module, what is given being imported on its first line. */
function moduleOf(block: Block, given: Given): string {
  const source = parse('block.mts', block.text);
  const own = new Set(namesIn(source, () => true));
  const used = identifiersOf(source);
  const wanted = (names: readonly string[]): string[] =>
    names.filter((name) => used.has(name) && !own.has(name));
  const parts = [...given.only].filter(([text]) => block.text.includes(text));
  const special = new Set(parts.flatMap(([, names]) => wanted(names)));
  const common = wanted(given.names).filter((name) => !special.has(name));
  const imports = [...common, ...(parts.length > 0 ? ['only'] : [])];
  const from = `'../given/${nameOf(block.page)}.mjs'`;
  const head = [
    imports.length > 0 ? `import { ${imports.join(', ')} } from ${from};` : 'export {};',
    ...parts.map(
      ([text, names]) => `const { ${wanted(names).join(', ')} } = only[${JSON.stringify(text)}];`,
    ),
  ];
  return `${head.join(' ')} ${withChecks(block.text)}\n`;
}

/** A package that a program imports and that is not installed. */
export function missingPackage({ text }: Block): string | undefined {
  const { resolve } = createRequire(join(ROOT, 'package.json'));
  return [...text.matchAll(/ from '([^'.]+)'/g)]
    .map(([, name]) => name!)
    .find((name) => {
      if (name === 'lichen' || name.startsWith('lichen/')) return false;
      try {
        resolve(name);
        return false;
      } catch {
        return true;
      }
    });
}

/** The file that a block is to be, as its first line says (`// features.mjs`) or the line before it (`` `serve.json`: ``). */
export function fileNameOf({ text, before }: Block): string | undefined {
  return (/^\/\/ ([\w.-]+)\n/.exec(text) ?? /^`([\w.-]+)`:$/.exec(before))?.[1];
}

/** Writes programs with what is given to them, checks the types of all at once, and compiles them into {@link SCRATCH}. */
export function compilePrograms(blocks: readonly Block[]): Map<Block, Program> {
  rmSync(BUILD, { recursive: true, force: true });
  const files = new Map<string, Block>();
  const write = (path: string, text: string): string => {
    const whole = join(SOURCES, path);
    mkdirSync(dirname(whole), { recursive: true });
    writeFileSync(whole, text);
    return whole;
  };
  const told = 'declare function told(what: string, value: unknown, text: string): void;\n';
  const roots = [write('globals.d.ts', told)];
  for (const own of ['told.ts', 'run-steps.mts']) {
    roots.push(write(own, readFileSync(join(__dirname, own), 'utf8')));
  }
  for (const page of new Set(['made.md', ...blocks.map((block) => block.page)])) {
    const path = join(GIVEN, `${nameOf(page)}.mts`);
    if (existsSync(path))
      roots.push(write(`given/${nameOf(page)}.mts`, readFileSync(path, 'utf8')));
  }
  for (const block of blocks) {
    const folder = nameOf(block.page);
    const named = fileNameOf(block);
    const path = `${folder}/${named ?? `line-${block.line}.mts`}`;
    const text = named === undefined ? moduleOf(block, givenOf(block.page)) : block.text;
    files.set(write(path, text), block);
  }
  roots.push(...files.keys());
  const program = ts.createProgram(roots, {
    target: ts.ScriptTarget.ES2022,
    lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'],
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: ['node'],
    ...{ strict: true, skipLibCheck: true, allowJs: true, esModuleInterop: true },
    ...{ rootDir: SOURCES, outDir: SCRATCH },
  });
  const errors = new Map<string, string[]>();
  for (const { file, start = 0, messageText } of ts.getPreEmitDiagnostics(program)) {
    const at = file?.getLineAndCharacterOfPosition(start).line ?? 0;
    const block = file && files.get(file.fileName);
    const where = block ? `${block.page}:${block.line + at}` : `${file?.fileName}:${at + 1}`;
    const text = `${where} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
    const key = file?.fileName ?? '';
    errors.set(key, [...(errors.get(key) ?? []), text]);
  }
  program.emit();
  const programs = new Map<Block, Program>();
  for (const [path, block] of files) {
    const file = join(SCRATCH, path.slice(SOURCES.length).replace(/\.mts$/, '.mjs'));
    programs.set(block, { file, errors: errors.get(path) ?? [] });
    errors.delete(path);
  }
  const others = [...errors.values()].flat();
  if (others.length > 0) throw new Error(`what is given has errors:\n${others.join('\n')}`);
  return programs;
}
