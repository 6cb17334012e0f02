// @ts-check
/**
 * One program for every engine: loads each entry that runs everywhere, and asks of an L1 and of a cache the things an
 * engine could get wrong. It uses nothing but the language and what is published.
 */
import { createCache } from 'tierwheel'
import { Hub, inProcessBus } from 'tierwheel/bus/in-process'
import { jsonCodec } from 'tierwheel/codecs/json'
import { createL1 } from 'tierwheel/l1'
import { ManualClock } from 'tierwheel/testing'
import { memoryTier } from 'tierwheel/tiers/memory'
// By its place, since it is not public: whether this engine reads strings inside WebAssembly.
// @ts-expect-error It exists where the program runs.
import { coreModule } from './node_modules/tierwheel/dist/core/module.js'

/**
 * @typedef {object} Report
 * @property {boolean} ok
 * @property {string} engine
 * @property {boolean} readsStrings the engine has the js-string builtins, and the core uses them
 * @property {number} checks how many answers were compared
 * @property {string[]} failures
 */

/** @returns {Promise<Report>} */
export async function smoke() {
  const checks = new Checks()
  await checks.about('keys', keys)
  await checks.about('expiry', expiry)
  await checks.about('eviction', eviction)
  await checks.about('growth', growth)
  await checks.about('values as bytes', valuesAsBytes)
  await checks.about('cache of an L1 alone', cacheAlone)
  await checks.about('cache over a tier', cacheOverTier)
  return {
    ok: checks.failures.length === 0 && checks.count > 0,
    engine: engineName(),
    readsStrings: coreModule().readsStrings,
    checks: checks.count,
    failures: checks.failures,
  }
}

/** @param {Checks} checks */
function valuesAsBytes(checks) {
  const l1 = createL1({ maxBytes: 2 ** 19, values: 'bytes', maxEntryBytes: 40_000 })
  for (const text of [...strings, '\ufeffmark', 'x'.repeat(30_000), '\u4f60'.repeat(10_000)]) {
    l1.set('text', text)
    checks.equal(`text of ${text.length}`, l1.get('text'), text)
  }
  l1.set('bytes', Uint8Array.of(1, 2, 255))
  checks.equal('bytes', [...(l1.get('bytes') ?? [])], [1, 2, 255])
  checks.equal(
    'a view',
    l1.view('bytes', (bytes) => bytes[2]),
    255,
  )
  l1.set('object', { name: 'Ada', born: new Date(0) })
  checks.equal('an object', l1.get('object'), { name: 'Ada', born: new Date(0) })
  for (let key = 0; key < 5_000; key++) l1.set(key, 'v'.repeat(key % 700))
  checks.equal('memory', l1.bytes, 2 ** 19)
  checks.equal('the last', l1.get(4_999), 'v'.repeat(4_999 % 700))
}

class Checks {
  count = 0
  /** @type {string[]} */
  failures = []
  #subject = ''

  /** @param {string} subject @param {(checks: Checks) => void | Promise<void>} body */
  async about(subject, body) {
    this.#subject = subject
    try {
      await body(this)
    } catch (error) {
      this.failures.push(`${subject}: ${error instanceof Error ? (error.stack ?? error.message) : error}`)
    }
  }

  /** @param {string} what @param {unknown} actual @param {unknown} expected */
  equal(what, actual, expected) {
    this.count++
    const [got, wanted] = [JSON.stringify(actual), JSON.stringify(expected)]
    if (got !== wanted) this.failures.push(`${this.#subject}: ${what}: ${got}, expected ${wanted}`)
  }
}

/** Keys that an engine may hold, hash or hand over in different ways. */
const strings = [
  '',
  'user:7',
  '7',
  'caf\u00e9 \u00ff',
  '\u0000',
  'a\u0000b',
  'a\u0000c',
  '\u4f60\u597d',
  'snow \u2603 man',
  'pair \ud83d\ude00',
  'lone \ud83d',
  'lone \ude00',
  '\ufffd',
  'x'.repeat(31),
  'x'.repeat(32),
  'x'.repeat(33),
  '\u0100'.repeat(16),
  '\u0100'.repeat(17),
  'y'.repeat(5_000),
  '\u2603'.repeat(5_000),
]
const integers = [0, 7, -7, 2 ** 31, -(2 ** 31) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]

/** @param {Checks} checks */
function keys(checks) {
  const l1 = createL1({ maxEntries: 100 })
  const all = [...strings, ...integers]
  for (const [index, key] of all.entries()) l1.set(key, index)
  checks.equal('size', l1.size, all.length)
  for (const [index, key] of all.entries()) {
    const name = typeof key === 'string' ? JSON.stringify(key.slice(0, 12)) : String(key)
    // Built anew, so that no engine answers by the identity of the string.
    const rebuilt =
      typeof key === 'string' ? Array.from({ length: key.length }, (_, at) => key[at]).join('') : key
    checks.equal(`get ${name}`, l1.get(rebuilt), index)
  }
  checks.equal('get -0', l1.get(-0), l1.get(0))
  checks.equal('an absent key', l1.get('absent') === undefined, true)
  checks.equal('delete', l1.delete('lone \ud83d'), true)
  checks.equal('deleted', l1.has('lone \ud83d'), false)
  checks.equal('its neighbour', l1.has('lone \ude00'), true)
  l1.clear()
  checks.equal('size after clear', l1.size, 0)
}

/** @param {Checks} checks */
function expiry(checks) {
  const clock = new ManualClock()
  const l1 = createL1({ maxEntries: 100, clock, clockResolution: 0 })
  l1.set('short', 1, { ttl: '1s' })
  l1.set('long', 2, { ttl: 60_000 })
  l1.set('ever', 3)
  clock.advance(999)
  checks.equal('just before', l1.get('short'), 1)
  clock.advance(1)
  checks.equal('at the deadline', l1.get('short') === undefined, true)
  checks.equal('another deadline', l1.get('long'), 2)
  clock.advance(365 * 24 * 60 * 60 * 1000)
  checks.equal('a year later', [l1.get('long') === undefined, l1.get('ever')], [true, 3])
}

/** @param {Checks} checks */
function eviction(checks) {
  /** @type {unknown[]} */
  const removals = []
  const l1 = createL1({
    maxEntries: 3,
    policy: 'lru',
    onRemoval: (key, value, cause) => removals.push([key, value, cause]),
  })
  for (const key of ['a', 'b', 'c']) l1.set(key, key.toUpperCase())
  l1.get('a')
  l1.set('\u2603', 'snow')
  l1.set(4, 'four')
  checks.equal('size', l1.size, 3)
  checks.equal('the newest', [l1.get(4), l1.get('\u2603')], ['four', 'snow'])
  checks.equal('removals', removals.slice(0, 2), [
    ['b', 'B', 'evicted'],
    ['c', 'C', 'evicted'],
  ])
}

/** Linear memory grows while keys are stored; every view of it must be the new one. @param {Checks} checks */
function growth(checks) {
  const l1 = createL1({ maxEntries: 20_000 })
  for (let index = 0; index < 20_000; index++)
    l1.set(`a key that is longer than thirty-two bytes:${index}`, index)
  let wrong = 0
  for (let index = 0; index < 20_000; index++) {
    if (l1.get(`a key that is longer than thirty-two bytes:${index}`) !== index) wrong++
  }
  checks.equal('wrong answers', wrong, 0)
  checks.equal('size', l1.size, 20_000)
}

/** @param {Checks} checks */
async function cacheAlone(checks) {
  const cache = createCache({ l1: { maxEntries: 100 }, ttl: '5m' })
  let loads = 0
  const load = async () => {
    loads++
    await Promise.resolve()
    return { name: 'Ada \u2603' }
  }
  const answers = await Promise.all(Array.from({ length: 50 }, () => cache.getOrSet('user:7', load)))
  checks.equal('loads for 50 callers', loads, 1)
  checks.equal('answers', new Set(answers.map((answer) => answer?.name)).size, 1)
  checks.equal('kept', await cache.get('user:7'), { name: 'Ada \u2603' })
  checks.equal(
    'deleted',
    [await cache.delete('user:7'), (await cache.get('user:7')) === undefined],
    [true, true],
  )
  await cache.close()
}

/** @param {Checks} checks */
async function cacheOverTier(checks) {
  const hub = new Hub()
  const open = () =>
    createCache({
      l1: { maxEntries: 100 },
      tiers: [memoryTier({ hub })],
      bus: inProcessBus({ hub }),
      codec: jsonCodec(),
      ttl: 60_000,
    })
  const [one, two] = [open(), open()]
  await one.set('key \ud83d\ude00', { list: [1, null, 'caf\u00e9'] })
  checks.equal('the other reads it', await two.get('key \ud83d\ude00'), { list: [1, null, 'caf\u00e9'] })
  await one.set('key \ud83d\ude00', 'new')
  checks.equal('its own write', await one.get('key \ud83d\ude00'), 'new')
  let loads = 0
  const load = () => {
    loads++
    return 'loaded'
  }
  await Promise.all(Array.from({ length: 50 }, () => two.getOrSet('missing', load)))
  checks.equal('loads for 50 callers', loads, 1)
  checks.equal('the other finds the load', await one.get('missing'), 'loaded')
  await one.close()
  await two.close()
}

function engineName() {
  const scope = /** @type {any} */ (globalThis)
  if (scope.Deno !== undefined) return `Deno ${scope.Deno.version.deno}`
  if (scope.Bun !== undefined) return `Bun ${scope.Bun.version}`
  const agent = String(scope.navigator?.userAgent ?? '')
  if (agent === 'Cloudflare-Workers') return 'workerd'
  const chromium = /Chrom(?:e|ium)\/(\d+)/.exec(agent)
  if (chromium !== null) return `Chromium ${chromium[1]}`
  return `Node ${scope.process?.versions?.node}`
}
