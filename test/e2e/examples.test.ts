import { expect, test } from 'vitest'
import { run } from '../../scripts/run-command.js'

/** Seconds suffice on a machine that has nothing else to do. */
const LIMIT_MS = 120_000

const examples: [name: string, lines: string[]][] = [
  [
    'api-service',
    [
      '50 visitors, 1 query',
      'after the change: Grace',
      'while the database is down: Grace',
      'nobody knows: 503',
    ],
  ],
  [
    'many-processes',
    [
      '4 processes, 100 callers in each: 1 load',
      'nightly work: done by 1',
      'after a change in one: new, new, new, new',
    ],
  ],
  [
    'offline-client',
    [
      'never online: nothing yet',
      'online: news, edition 1',
      'offline: news, edition 1',
      'offline, after a restart: news, edition 1',
      'slow: edition 1 at once, edition 2 when it had come',
    ],
  ],
]

test.each(examples)(
  'the example %s runs and says what it shows',
  async (name, lines) => {
    const { ok, output } = await run(process.execPath, [`examples/${name}/main.js`], { timeoutMs: LIMIT_MS })
    expect(output.trim().split('\n')).toEqual(lines)
    expect(ok).toBe(true)
  },
  LIMIT_MS,
)
