import { entryPaths } from './scripts/source-files.js'

/** What is published is used, whoever uses it. */
const published = entryPaths().map((path) => `src/${path}`)

export default {
  entry: [...published, 'examples/**/*.{js,ts}', 'scripts/*.js', 'test/**/*.test.ts', 'test/e2e/peer.js'],
  project: ['examples/**', 'scripts/**', 'src/**/*.ts', 'test/**/*.{ts,js}', '!test/runtimes/**'],
  // Run by scripts/check.js, by their place.
  ignoreDependencies: ['@arethetypeswrong/cli', 'publint'],
  // Of the system.
  ignoreBinaries: ['apt-get', 'dpkg', 'memcached', 'mount', 'postgres', 'redis-server', 'umount'],
  ignoreExportsUsedInFile: true,
}
