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

/** The public members that a class or an interface has of its own, with their names. */
export function membersOf({ members, exports }) {
  return [...(members ?? []), ...(exports ?? [])]
    .map(([, symbol]) => symbol)
    .filter(({ flags }) => (flags & (ts.SymbolFlags.ClassMember | ts.SymbolFlags.Signature)) !== 0)
    .filter(({ declarations = [] }) => declarations.length > 0 && !declarations.every(isHidden));
}
