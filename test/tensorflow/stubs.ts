import type { ImportPackage } from '../../src/vectors/packages.js';

/** What Node says of a package that is not installed. */
export function absent(name: string): Error {
  return Object.assign(new Error(`Cannot find package '${name}' imported from /somewhere`), {
    code: 'ERR_MODULE_NOT_FOUND',
  });
}

/**
 * An importer that has some packages in the place of the real ones: a function makes the package or throws, undefined
 * is a package that is not installed. The others are imported as ever, `rest` being false not at all.
 */
export function importer(
  packages: Readonly<Record<string, (() => unknown) | undefined>>,
  rest = true,
): ImportPackage & { readonly asked: string[] } {
  const asked: string[] = [];
  const load = async (name: string): Promise<unknown> => {
    asked.push(name);
    if (Object.hasOwn(packages, name)) {
      const make = packages[name];
      if (make === undefined) throw absent(name);
      return Promise.resolve(make());
    }
    if (!rest) throw absent(name);
    return import(name) as Promise<unknown>;
  };
  return Object.assign(load, { asked });
}
