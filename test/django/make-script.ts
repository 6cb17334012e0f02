// Random scripts of cache calls, in the form of ops.json. What is to expire in between is stored shortly before time
// passes, so that a slow machine is not taken for a wrong answer.

import { seededRandom } from '../support/seeded-random.ts'

/** A call in Django's names; `sleep` lets so many seconds pass. */
export type Call = [method: string, args: unknown[], options: { timeout?: number | null; version?: number }]

const keys = ['k0', 'k1', 'k2', 'k3', 'k4', 'k5', 'a:b', ':1:k0', 'ключ', '✓', 'K0', '5']
const values: readonly unknown[] = [
  0,
  1,
  -7,
  42,
  2 ** 53 - 1,
  -(2 ** 53 - 1),
  3.5,
  true,
  false,
  null,
  '',
  '12',
  'ünïcødé ✓ \u0000',
  [],
  [1, [2, { three: 3 }]],
  {},
  { nested: { list: [null, false, 'x'] } },
]
const methods: readonly (readonly [method: string, weight: number])[] = [
  ['get', 8],
  ['set', 8],
  ['add', 4],
  ['touch', 3],
  ['delete', 4],
  ['has_key', 3],
  ['incr', 5],
  ['decr', 3],
  ['incr_version', 3],
  ['decr_version', 2],
  ['get_or_set', 3],
  ['get_many', 3],
  ['set_many', 2],
  ['delete_many', 2],
]
const hasTimeout = new Set(['set', 'add', 'touch', 'get_or_set', 'set_many'])
/** What is short-lived is stored at most so many calls before time passes. */
const SHORT = 10
const SECONDS = 1.2

/** A script of `length` calls that `seed` decides. */
export function makeScript(seed: number, length: number): Call[] {
  const random = seededRandom(seed)
  const below = (limit: number): number => Math.floor(random() * limit)
  const oneOf = <T>(list: readonly T[]): T => list[below(list.length)] as T
  const weighted = methods.flatMap(([method, weight]) => Array.from({ length: weight }, () => method))
  const several = (): string[] => Array.from({ length: 1 + below(4) }, () => oneOf(keys))
  const deltas = [undefined, 1, 10, -10, 2 ** 53 - 1]

  const argumentsOf = (method: string): unknown[] => {
    switch (method) {
      case 'set':
      case 'add':
      case 'get_or_set':
        return [oneOf(keys), oneOf(values)]
      case 'get':
        return random() < 0.2 ? [oneOf(keys), 'fallback'] : [oneOf(keys)]
      case 'incr':
      case 'decr': {
        const delta = oneOf(deltas)
        return delta === undefined ? [oneOf(keys)] : [oneOf(keys), delta]
      }
      case 'get_many':
      case 'delete_many':
        return [several()]
      case 'set_many':
        return [Object.fromEntries(several().map((key) => [key, oneOf(values)]))]
      default:
        return [oneOf(keys)]
    }
  }

  const script: Call[] = []
  // Twice time passes, what is short-lived being stored just before.
  const rests = new Set([Math.floor(length / 3), Math.floor((2 * length) / 3)])
  for (let at = 0; at < length; at++) {
    if (rests.has(at)) {
      script.push(['sleep', [SECONDS], {}])
      continue
    }
    if (random() < 0.01) {
      script.push(['clear', [], {}])
      continue
    }
    const method = oneOf(weighted)
    const options: Call[2] = {}
    if (random() < 0.4) options.version = 1 + below(3)
    if (hasTimeout.has(method) && random() < 0.6) {
      const isShort = [...rests].some((rest) => at < rest && at >= rest - SHORT)
      options.timeout = oneOf(isShort ? [1, 1, null, 300] : [300, null, 300, 0, -1])
    }
    script.push([method, argumentsOf(method), options])
  }
  return script
}
