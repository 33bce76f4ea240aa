declare module 'node-gyp-build' {
  /** Loads the addon of a package folder: a prebuilt one that fits this machine, else the one built there. */
  function load(folder: string): unknown;
  export = load;
}
