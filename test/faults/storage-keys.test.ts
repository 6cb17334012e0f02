// Hostile prefixes, versions and keys, and what becomes of them on the way into each tier: two that differ anywhere
// never share a name. `PAIRS` says how many; `npm run test:crash` compares a million.

import { expect, test } from 'vitest'
import { entryNames } from '../../src/backends/entry-file.ts'
import { entryKey as memcachedKey } from '../../src/backends/memcached-layout.ts'
import { entryKey as redisKey } from '../../src/backends/redis-layout.ts'
import { type Key, keyScope, partitionTextOf, storedKey } from '../../src/key.ts'
import { partitionOf } from '../../src/stamp.ts'
import { hostileKeys } from '../../src/testing/hostile-keys.ts'
import { seed } from '../support/seed.ts'
import { seededRandom } from '../support/seeded-random.ts'

const PAIRS = Number(process.env.PAIRS ?? 100_000)

/** What separators, escapes, paths, protocols and Unicode are made of: from these, confusions are likely. */
const signs = [
  ...':#%.-_/\\ab17 \0\r\n\t"\'{}*',
  '%3A',
  '%23',
  '\ud800',
  '\udc00',
  '\ufdd0',
  '\ufdd0d800',
  '\u{1f600}',
  'é',
  'e\u0301',
]

interface Named {
  readonly prefix: string
  readonly version: string | number
  readonly key: Key
}

function* triples(): Generator<Named> {
  const random = seededRandom(seed)
  const below = (count: number): number => Math.floor(random() * count)
  const text = (least: number, most: number): string =>
    Array.from({ length: least + below(most - least + 1) }, () => signs[below(signs.length)]).join('')
  const versions = [0, 1, '1', 'a', 'a.b', '-']
  for (let pair = 0; pair < PAIRS; pair++) {
    const drawn = random()
    const key =
      drawn < 0.02
        ? (hostileKeys[below(hostileKeys.length)] as string)
        : drawn < 0.1
          ? below(300) - 150
          : text(0, 6)
    yield { prefix: text(0, 4), version: versions[below(versions.length)] as string, key }
  }
}

/** A version of `1` and of `'1'` are one, a key of `1` and of `'1'` are two. */
const identityOf = ({ prefix, version, key }: Named): string =>
  JSON.stringify([
    prefix,
    String(version),
    typeof key,
    typeof key === 'number' ? key : [...key].map((sign) => sign.codePointAt(0)),
  ])

/** Stored keys of as many different triples. */
const stored = new Map<string, string>()

test('stored keys tell every prefix, version and key apart', { timeout: 300_000 }, () => {
  let tooLong = 0
  for (const named of triples()) {
    let text: string
    try {
      text = storedKey(keyScope(named.prefix, named.version), named.key)
    } catch (error) {
      expect(error).toBeInstanceOf(RangeError)
      tooLong++
      continue
    }
    const identity = identityOf(named)
    const other = stored.get(text)
    if (other !== undefined && other !== identity)
      expect.fail(`SEED=${seed}: ${identity} and ${other} are both ${JSON.stringify(text)}`)
    stored.set(text, identity)
    if (!text.isWellFormed()) expect.fail(`SEED=${seed}: ${JSON.stringify(text)} is not well-formed`)
  }
  expect(stored.size + tooLong).toBeGreaterThan(PAIRS / 2)
  console.log(`${PAIRS} triples, ${stored.size} different stored keys, SEED=${seed}`)
})

const secret = '5'.repeat(64)
const tiers: Record<string, { nameOf: (key: string) => string; form: RegExp }> = {
  file: { nameOf: entryNames(secret), form: /^[0-9a-f]{32}$/ },
  'lmdb and sql': { nameOf: (key) => Buffer.from(key).toString('latin1'), form: /^[\s\S]{1,512}$/ },
  redis: {
    nameOf: (key) => redisKey('tierwheel', partitionOf(partitionTextOf(key), 16), key),
    form: /^\{tierwheel:\d+\}:e:/,
  },
  memcached: {
    // What the server will make of it: Base64 is decoded there.
    nameOf: (key) => {
      const { text, isBase64 } = memcachedKey('tierwheel', key)
      if (!/^[\x21-\x7e]{1,250}$/.test(text))
        throw new Error(`${JSON.stringify(text)} is no word of the protocol`)
      return isBase64 ? Buffer.from(text, 'base64').toString('latin1') : text
    },
    form: /^tierwheel[:#]/,
  },
}

for (const [tier, { nameOf, form }] of Object.entries(tiers)) {
  test(`${tier}: no two stored keys have one name, and no name is more than a name`, {
    timeout: 300_000,
  }, () => {
    const names = new Set<string>()
    for (const key of stored.keys()) {
      const name = nameOf(key)
      if (!form.test(name))
        expect.fail(`SEED=${seed}: ${JSON.stringify(key)} becomes ${JSON.stringify(name)}`)
      names.add(name)
    }
    expect(names.size, `SEED=${seed}`).toBe(stored.size)
  })
}
