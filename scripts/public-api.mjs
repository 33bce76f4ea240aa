import { join } from 'node:path';
import ts from 'typescript';

/** What the package's types are compiled with. */
export const OPTIONS = {
  ...{ module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext },
  ...{ target: ts.ScriptTarget.ES2022, lib: ['lib.es2023.d.ts', 'lib.esnext.disposable.d.ts'] },
  ...{ types: ['node'], strict: true, exactOptionalPropertyTypes: true, esModuleInterop: true },
  ...{ noUncheckedIndexedAccess: true, skipLibCheck: true, noEmit: true },
};

/** The two entry points that have all names between them: the rooms' names are those of the whole. */
export const ENTRY_FILES = [
  { name: 'lichen', file: join('dist', 'index.d.ts') },
  { name: 'lichen/http', file: join('dist', 'http', 'index.d.ts') },
];

/** A host that reads each file once, whatever the number of programs. */
function sharedHost() {
  const host = ts.createCompilerHost(OPTIONS, true);
  const files = new Map();
  const read = host.getSourceFile;
  host.getSourceFile = (path, ...rest) => {
    if (!files.has(path)) files.set(path, read(path, ...rest));
    return files.get(path);
  };
  return host;
}

const host = sharedHost();

/** A program of some files, beside the package as it is compiled. */
export const openProgram = (files) => ts.createProgram(files, OPTIONS, host);

/** What an entry point exports, by name: the declared symbols, whatever file they are of. */
export function exportsOf(program, file) {
  const checker = program.getTypeChecker();
  const module = checker.getSymbolAtLocation(program.getSourceFile(file));
  const named = checker.getExportsOfModule(module).map((symbol) => {
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    return { name: symbol.name, symbol: isAlias ? checker.getAliasedSymbol(symbol) : symbol };
  });
  return named.sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** Whether a declaration is for nobody outside: private, protected, or marked as internal. */
export function isHidden(declaration) {
  const hidden = ts.ModifierFlags.Private | ts.ModifierFlags.Protected;
  if ((ts.getCombinedModifierFlags(declaration) & hidden) !== 0) return true;
  if (declaration.name !== undefined && ts.isPrivateIdentifier(declaration.name)) return true;
  return ts.getJSDocTags(declaration).some(({ tagName }) => tagName.text === 'internal');
}

/**
 * The public members of a class, an interface or a type, with their paths: what it inherits as well, as far as it is the
 * package's, and the members of object types that are written out in it.
 */
export function membersOf(checker, symbol, path = symbol.name) {
  return [...ownMembers(checker, symbol).filter(isOurs)].flatMap((member) => {
    const place = `${path}.${member.name}`;
    return [{ path: place, symbol: member }, ...writtenOut(checker, member, place)];
  });
}

function ownMembers(checker, symbol) {
  const members = ts.SymbolFlags.ClassMember;
  if ((symbol.flags & ts.SymbolFlags.TypeLiteral) !== 0) {
    return [...symbol.members.values()].filter(({ flags }) => (flags & members) !== 0);
  }
  if ((symbol.flags & (ts.SymbolFlags.Class | ts.SymbolFlags.Interface)) === 0) return [];
  const statics = [...(symbol.exports?.values() ?? [])];
  return [...statics, ...checker.getPropertiesOfType(checker.getDeclaredTypeOfSymbol(symbol))];
}

/** Members of the object types in what a symbol is declared as. */
export function writtenOut(checker, { declarations }, path) {
  const literals = [];
  const visit = (node) => {
    if (ts.isTypeLiteralNode(node)) literals.push(node.symbol);
    else if (!ts.isFunctionLike(node)) ts.forEachChild(node, visit);
  };
  for (const { type } of declarations) if (type !== undefined) visit(type);
  return literals.flatMap((literal) => membersOf(checker, literal, path));
}

function isOurs({ name, declarations = [] }) {
  return (
    name !== 'prototype' &&
    declarations.some((one) => /(^|\/)dist\//.test(one.getSourceFile().fileName)) &&
    !declarations.every(isHidden)
  );
}
