import tseslint from 'typescript-eslint';

// The rooms of src/, from the ground up: a room may import from the rooms before it, never from a later one.
const ROOMS = [
  ['errors.ts'],
  ['native.ts'],
  ['cuda.ts'],
  ['vectors'],
  ['interactions'],
  ['index'],
  ['hnswlib'],
  ['ranking'],
  ['tensorflow'],
  ['towers'],
  ['cache'],
  ['features'],
  ['batching'],
  ['cascade'],
  ['pool'],
  ['serving'],
  ['http'],
  ['cluster'],
  ['evaluation'],
  ['planning'],
  ['catalogue'],
  ['cli'],
].map(([name]) => name);

const layering = ROOMS.map((room, at) => {
  const above = ROOMS.slice(at + 1);
  const isFile = room.endsWith('.ts');
  const prefix = isFile ? './' : '../';
  return {
    files: [isFile ? `src/${room}` : `src/${room}/**/*.ts`],
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: [
                ...above.map((other) =>
                  other.endsWith('.ts')
                    ? `${prefix}${other.replace('.ts', '.js')}`
                    : `${prefix}${other}/*`,
                ),
                `${prefix}index.js`,
              ].filter((pattern) => isFile || pattern !== '../index.js' || room !== ''),
              message: `${room} stands below that room (see ARCHITECTURE.md)`,
            },
          ],
        },
      ],
    },
  };
}).filter((block) => block.rules['no-restricted-imports'][1].patterns[0].group.length > 0);

export default tseslint.config(
  { ignores: ['dist/', '**/build/', 'node_modules/'] },
  ...tseslint.configs.recommendedTypeChecked.map((config) => ({
    ...config,
    files: ['**/*.ts', '**/*.mts'],
  })),
  {
    files: ['**/*.ts', '**/*.mts'],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      '@typescript-eslint/consistent-type-imports': ['error', { disallowTypeAnnotations: false }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      eqeqeq: 'error',
      'no-console': 'error',
      'max-lines': ['error', { max: 450, skipBlankLines: false, skipComments: false }],
    },
  },
  { files: ['src/cli/**', 'bench/**', 'examples/**'], rules: { 'no-console': 'off' } },
  ...layering,
);
