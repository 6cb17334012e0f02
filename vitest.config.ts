import { defineConfig } from 'vitest/config'
import { mutants, mutate } from './test/simulation/mutants.js'
import { rules } from './test/traps/rules.js'

/** The closing line says what ran in a form a script can read; scripts/test.js adds to it. */
const closingLine = {
  onTestRunEnd(modules: readonly import('vitest/node').TestModule[], errors: readonly unknown[]): void {
    const counts = { passed: 0, failed: errors.length, skipped: 0, pending: 0 }
    for (const module of modules) {
      // A file that could not be loaded has no tests to report: it counts as one failure.
      counts.failed += module.errors().length
      for (const test of module.children.allTests()) counts[test.result().state]++
    }
    const skipped = counts.skipped + counts.pending
    console.log(`${counts.passed} passed, ${counts.failed} failed, ${skipped} skipped`)
  },
}

/** With MUTANT=name the code is loaded without that guard: scripts/simulate.js and traps.js see whether it is missed. */
const withoutGuard = () => {
  const mutant = [...mutants, ...rules].find(({ name }) => name === process.env.MUTANT)
  if (mutant === undefined) throw new Error(`MUTANT: there is no guard against "${process.env.MUTANT}"`)
  return {
    name: 'without-guard',
    enforce: 'pre' as const,
    transform: (code: string, id: string) => mutate(mutant, id, code),
  }
}

export default defineConfig({
  test: {
    reporters: ['default', closingLine],
    projects: [
      {
        test: {
          name: 'node',
          environment: 'node',
          // Nothing timed decides a test: this is for what hangs, on however busy a machine.
          testTimeout: 60_000,
          hookTimeout: 60_000,
          include: ['test/**/*.test.ts'],
          // Services are for `npm run test:services`, which installs what they need; what takes minutes and not seconds
          // is for `npm run test:long`.
          exclude: [
            'test/runtimes/**',
            ...(process.env.SERVICES === undefined ? ['test/services/**'] : []),
            ...(process.env.TEST_SCALE === undefined ? ['test/long/**'] : []),
          ],
        },
        plugins: process.env.MUTANT === undefined ? [] : [withoutGuard()],
      },
    ],
  },
})
