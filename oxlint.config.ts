import { defineConfig, type OxlintOverride } from 'oxlint';

// The arrows of the house (docs/architecture.md). Each folder may import what stands here and itself, by #src/…; a slice is entered by its index.ts.

const BELOW = ['protocol/**', 'platform/**'];
const ROOMS = ['graph', 'directory', 'membership', 'creation', 'messaging', 'history'];
const ABOVE_ROOMS = [
  'account-data',
  'admin',
  'dehydrated-devices',
  'device-lists',
  'doctor',
  'federation',
  'filters',
  'key-backup',
  'profiles',
  'push',
  'presence',
  'receipts',
  'rendezvous',
  'reports',
  'restoration',
  'search',
  'server-info',
  'spaces',
  'sync',
  'to-device',
  'typing',
  'user-directory',
];
/** These read many and are imported by none. */
const READERS = new Set(['sync', 'admin', 'doctor']);

const roomDoors = ROOMS.map((room) => `rooms/${room}/index.ts`);
const doorsAboveRooms = ABOVE_ROOMS.filter((slice) => !READERS.has(slice)).map((slice) => `${slice}/index.ts`);

/** Folder, what it may import, and why not more. */
const LAYERS: readonly (readonly [folder: string, mayImport: readonly string[], message: string])[] = [
  ['protocol', [], 'protocol is pure: it imports nothing but protocol.'],
  ['platform', ['protocol/**'], 'platform knows nothing of rooms and users: it imports protocol and platform.'],
  ['accounts', BELOW, 'accounts is the lowest slice: what it needs from others comes in by a port.'],
  ['devices', [...BELOW, 'accounts/index.ts'], 'devices import accounts; what they need from above comes in by a port.'],
  ...ROOMS.map(
    (room) =>
      [
        `rooms/${room}`,
        [...BELOW, 'accounts/index.ts', 'devices/index.ts', ...roomDoors],
        'rooms import accounts, devices and each other; the rest by a port.',
      ] as const,
  ),
  ...ABOVE_ROOMS.map(
    (slice) =>
      [
        slice,
        [...BELOW, 'accounts/index.ts', 'devices/index.ts', ...roomDoors, ...doorsAboveRooms],
        "A slice imports what is below and other slices' index.ts; sync, admin and doctor are imported by none.",
      ] as const,
  ),
];

const PURE_NODE = ['buffer', 'crypto', 'net', 'util'];

const restrict = ([folder, mayImport, message]: (typeof LAYERS)[number]): OxlintOverride => ({
  files: [`src/${folder}/**`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          {
            group: [
              '../**',
              '\\#src/**',
              `!\\#src/${folder}/**`,
              ...mayImport.map((path) => `!\\#src/${path}`),
              ...(folder === 'protocol' ? ['node:*', ...PURE_NODE.map((name) => `!node:${name}`)] : []),
            ],
            message,
          },
        ],
      },
    ],
  },
});

const NODE_TEST = { from: 'package' as const, package: 'node:test', name: ['default', 'test', 'it', 'describe', 'suite'] };

export default defineConfig({
  plugins: ['typescript', 'unicorn', 'oxc', 'import', 'node', 'promise'],
  categories: { correctness: 'error', suspicious: 'error', perf: 'error' },
  options: { typeAware: true },
  rules: {
    'typescript/no-explicit-any': 'error',
    'typescript/no-floating-promises': 'error',
    'typescript/no-misused-promises': 'error',
    'typescript/await-thenable': 'error',
    'typescript/consistent-type-imports': 'error',
    'import/no-cycle': 'error',
    'import/no-unassigned-import': 'error',
    'no-restricted-globals': [
      'error',
      { name: 'fetch', message: "The network comes in as an argument: use the platform's outgoing client." },
    ],
    'no-restricted-properties': [
      'error',
      { object: 'Date', property: 'now', message: 'Time comes in as an argument: take a Clock.' },
      { object: 'Math', property: 'random', message: 'Randomness comes in as an argument: take a Random.' },
    ],
    // Steps that must follow one another are awaited one after another.
    'no-await-in-loop': 'off',
    // Rows and parsed JSON are given their type where they come in.
    'typescript/no-unsafe-type-assertion': 'off',
    // Services are objects of closures: their functions may be handed on alone.
    'typescript/unbound-method': 'off',
    // For windows; here messages go to threads.
    'unicorn/require-post-message-target-origin': 'off',
    'no-shadow': 'off',
    'no-unmodified-loop-condition': 'off',
    'unicorn/no-array-sort': 'off',
    'unicorn/consistent-function-scoping': 'off',
    'typescript/require-array-sort-compare': 'off',
    'import/no-default-export': 'off',
    'import/no-named-as-default-member': 'off',
    'import/no-named-as-default': 'off',
    'oxc/no-map-spread': 'off',
  },
  overrides: [
    { files: ['src/platform/clock.ts', 'src/platform/random.ts'], rules: { 'no-restricted-properties': 'off' } },
    ...LAYERS.map(restrict),
    { files: ['src/**/*.test.ts'], rules: { 'no-restricted-imports': 'off' } },
    {
      files: ['test/**', 'bench/**', 'scripts/**', 'src/**/*.test.ts'],
      rules: {
        'no-restricted-globals': 'off',
        'no-restricted-properties': 'off',
        // Whether two types are the same is asked by functions whose parameter is used once.
        'typescript/no-unnecessary-type-parameters': 'off',
        'typescript/no-floating-promises': ['error', { allowForKnownSafeCalls: [NODE_TEST] }],
      },
    },
  ],
});
