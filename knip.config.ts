import { entryPaths } from './scripts/source-files.js'

/** What is published is used, whoever uses it. */
const published = entryPaths().map((path) => `src/${path}`)

export default {
  entry: [
    ...published,
    'examples/**/*.{js,ts}',
    'scripts/*.js',
    'test/**/*.test.ts',
    'test/e2e/*peer.js',
    'test/faults/fleet/member.js',
  ],
  project: [
    'examples/**',
    'scripts/**',
    'src/**/*.ts',
    'test/**/*.{ts,js}',
    '!test/conformance/suites/**',
    '!test/runtimes/**',
    '!test/services/**',
  ],
  // Run by scripts/check.js, by their place; types that a package lacks; and what test/services installs for itself.
  ignoreDependencies: [
    '@arethetypeswrong/cli',
    '@types/http-cache-semantics',
    'better-sqlite3',
    'mysql2',
    'publint',
  ],
  // Of the system.
  ignoreBinaries: [
    'apt-get',
    'dpkg',
    'mariadbd',
    'memcached',
    'mount',
    'openssl',
    'postgres',
    'redis-sentinel',
    'redis-server',
    'strace',
    'umount',
  ],
  ignoreExportsUsedInFile: true,
}
