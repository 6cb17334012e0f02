import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  checkKey,
  keyScope,
  l1KeyOf,
  l1KeyOfStored,
  MAX_STORED_KEY_BYTES,
  partitionTextOf,
  storedKey,
} from '../../src/key.ts'
import { holds } from '../support/seed.ts'

const scope = keyScope('', 1)
const anyText = fc.string({
  unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
  maxLength: 40,
})
const anyKey = fc.oneof(
  anyText,
  fc.constantFrom('', '\0', '\0:1:x', '\ufdd0', '\ufdd0d800', '__proto__'),
  fc.maxSafeInteger(),
)
const anyScope = fc
  .tuple(anyText, fc.oneof(fc.nat(), fc.stringMatching(/^[A-Za-z0-9._-]{1,8}$/)))
  .map(([prefix, version]) => ({
    prefix,
    version: String(version),
    scope: keyScope(prefix, version),
  }))

describe('a stored key', () => {
  test('shows prefix, version and key', () => {
    expect(storedKey(keyScope('shop', 2), 'user:7')).toBe('shop:2:user:7')
    expect(storedKey(keyScope('shop', 'v2'), 7)).toBe('shop:v2#7')
    expect(storedKey(scope, '7')).toBe(':1:7')
    expect(storedKey(scope, -0)).toBe(':1#0')
    expect(storedKey(keyScope('a:b%#', 1), 'x')).toBe('a%3Ab%25%23:1:x')
  })

  test('is injective over prefix, version and key', () => {
    holds(
      fc.property(anyScope, anyKey, anyScope, anyKey, (left, leftKey, right, rightKey) => {
        const isSame =
          left.prefix === right.prefix && left.version === right.version && Object.is(leftKey, rightKey)
        expect(storedKey(left.scope, leftKey) === storedKey(right.scope, rightKey)).toBe(isSame)
      }),
      { numRuns: 5_000 },
    )
  })

  test('is well-formed, so that UTF-8 keeps it apart from every other', () => {
    holds(
      fc.property(anyScope, anyKey, ({ scope }, key) => {
        const stored = storedKey(scope, key)
        expect(new TextDecoder().decode(new TextEncoder().encode(stored))).toBe(stored)
      }),
    )
  })

  test.each(['', 'x', 'é', '漢', '😀', '\ud800'])(
    'of %j is refused above 512 bytes and not below',
    (unit) => {
      const stored = (count: number) => storedKey(scope, unit.repeat(count))
      const bytes = (count: number) => new TextEncoder().encode(storedKeyUnchecked(unit, count)).length
      let count = 0
      while (unit !== '' && bytes(count + 1) <= MAX_STORED_KEY_BYTES) count++
      expect(new TextEncoder().encode(stored(count)).length).toBeLessThanOrEqual(MAX_STORED_KEY_BYTES)
      if (unit === '') return
      expect(() => stored(count + 1)).toThrow(/the limit is 512, prefix and version included/)
      expect(() => stored(1_000_000)).toThrow(RangeError)
    },
  )

  test('has a partition text without the version', () => {
    expect(partitionTextOf('shop:2:user:7')).toBe(partitionTextOf('shop:3:user:7'))
    expect(partitionTextOf('shop:2#7')).toBe(partitionTextOf('shop:v9#7'))
    expect(partitionTextOf('shop:@users:@eu:2:7')).toBe(partitionTextOf('shop:@users:@eu:3:7'))
    expect(partitionTextOf('shop:@users:2:7')).not.toBe(partitionTextOf('shop:@carts:2:7'))
    expect(partitionTextOf('shop:2:@users:7')).toBe(partitionTextOf('shop:3:@users:7'))
    expect(partitionTextOf('shop:2:7')).not.toBe(partitionTextOf('shop:2#7'))
  })
})

function storedKeyUnchecked(unit: string, count: number): string {
  return `:1:${unit === '\ud800' ? '\ufdd0d800'.repeat(count) : unit.repeat(count)}`
}

describe('the key of L1', () => {
  test('is the key itself in the cache’s own scope, so that a hit builds no string', () => {
    expect(l1KeyOf(scope, scope, 'user:7')).toBe('user:7')
    expect(l1KeyOf(scope, scope, 7)).toBe(7)
  })

  test('comes back from the stored key, and is injective over scopes', () => {
    holds(
      fc.property(anyScope, anyScope, anyKey, anyKey, (own, other, ownKey, otherKey) => {
        const one = l1KeyOf(own.scope, own.scope, ownKey)
        expect(l1KeyOfStored(own.scope, storedKey(own.scope, ownKey))).toBe(ownKey === 0 ? 0 : one)
        const otherScope =
          other.prefix === own.prefix && other.version === own.version ? own.scope : other.scope
        const two = l1KeyOf(own.scope, otherScope, otherKey)
        expect(l1KeyOfStored(own.scope, storedKey(otherScope, otherKey))).toBe(
          otherKey === 0 && otherScope === own.scope ? 0 : two,
        )
        if (otherScope !== own.scope) expect(two).not.toBe(one)
      }),
      { numRuns: 3_000 },
    )
  })
})

describe('what can not be a key', () => {
  test.each([
    undefined,
    null,
    true,
    1.5,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    2 ** 53,
    10n,
    Symbol('s'),
    {},
    [],
    () => 1,
  ])('%s is a TypeError that shows it', (value) => {
    expect(() => checkKey(value)).toThrow(TypeError)
    expect(() => checkKey(value)).toThrow(/^key: /)
  })

  test.each([
    [7, 1],
    [{}, 1],
    ['x', -1],
    ['x', 1.5],
    ['x', 'a b'],
    ['x', ''],
    ['x', 'a:b'],
    ['x', 'x'.repeat(33)],
    ['x', null],
  ])('neither are prefix %j and version %j', (prefix, version) => {
    expect(() => keyScope(prefix as string, version as number)).toThrow(/^(prefix|version): /)
  })
})
