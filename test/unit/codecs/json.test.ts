import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { jsonCodec } from '../../../src/codecs/json.ts'
import { CacheError } from '../../../src/errors.ts'
import { same } from '../../../src/testing/expect.ts'
import { holds, seed } from '../../support/seed.ts'

const codec = jsonCodec()
const PLAIN = 0x20
const TAGGED = 0x09
const BYTES = 0x01
const TEXT = 0x02

function utf8(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}

/** What follows the form byte, as text. */
function bodyOf(bytes: Uint8Array): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes.subarray(1))
}

function tagged(json: string): Uint8Array {
  return utf8(`\t${json}`)
}

function nested(depth: number, innermost: unknown = 0): unknown {
  let value = innermost
  for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { a: value }
  return value
}

/** The error of an encoding that must fail. */
function refusalOf(value: unknown): CacheError {
  try {
    codec.encode(value)
  } catch (error) {
    expect(error).toBeInstanceOf(CacheError)
    expect((error as CacheError).code).toBe('CACHE_ENCODE_FAILED')
    return error as CacheError
  }
  throw new Error('it was not refused')
}

function decodeRefusalOf(bytes: Uint8Array): CacheError {
  try {
    codec.decode(bytes)
  } catch (error) {
    expect(error).toBeInstanceOf(CacheError)
    expect((error as CacheError).code).toBe('CACHE_DECODE_FAILED')
    return error as CacheError
  }
  throw new Error('it was not refused')
}

describe('the forms', () => {
  test.each<[string, unknown, number, string]>([
    ['null', null, PLAIN, 'null'],
    ['an integer, which a tier can increment', 42, PLAIN, '42'],
    ['a negative integer', -7, PLAIN, '-7'],
    ['plain data', { a: [1, 'x', true, null] }, PLAIN, '{"a":[1,"x",true,null]}'],
    ['data with keys that look like tags, without a tag', { $: ['Date', 0] }, PLAIN, '{"$":["Date",0]}'],
    ['text', 'é"\n', TEXT, 'é"\n'],
    ['an empty text', '', TEXT, ''],
    ['text that is not well-formed', 'a\ud800', PLAIN, '"a\\ud800"'],
    ['bytes', utf8('raw'), BYTES, 'raw'],
    ['a Buffer', Buffer.from('raw'), BYTES, 'raw'],
    ['undefined', undefined, TAGGED, '{"$":["undefined"]}'],
    ['a date', new Date(5), TAGGED, '{"$":["Date",5]}'],
    ['an integer beyond numbers', -255n, TAGGED, '{"$":["bigint","-ff"]}'],
    ['a map', new Map([['a', 1]]), TAGGED, '{"$":["Map",["a",1]]}'],
    ['a set', new Set([1]), TAGGED, '{"$":["Set",[1]]}'],
    ['numbers that JSON has not', [Number.NaN, -0], TAGGED, '[{"$":["number","NaN"]},{"$":["number","-0"]}]'],
    ['little endian elements', Uint16Array.of(1, 0x203), TAGGED, '{"$":["Uint16Array","AQADAg=="]}'],
    [
      'a tag beside a key that looks like one',
      [{ $: 1 }, 0n],
      TAGGED,
      '[{"$":["Object",1]},{"$":["bigint","0"]}]',
    ],
    ['an instance whose toJSON gives text', new URL('http://a/b'), PLAIN, '"http://a/b"'],
  ])('%s', (_, value, form, body) => {
    const bytes = codec.encode(value)
    expect(bytes[0]).toBe(form)
    expect(bodyOf(bytes)).toBe(body)
    expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
  })

  test('plain JSON of any value is exactly what JSON.stringify writes', () => {
    holds(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        if (typeof value === 'string' || JSON.stringify(value).includes('-0')) return
        if (/(^|[[:,])-0(?![.\d])/.test(JSON.stringify(value))) return
        const bytes = codec.encode(value)
        if (bytes[0] === PLAIN) expect(bodyOf(bytes), `SEED=${seed}`).toBe(JSON.stringify(value))
        else expect(JSON.stringify(codec.decode(bytes)), `SEED=${seed}`).toBe(JSON.stringify(value))
      }),
    )
  })
})

describe('round trips', () => {
  const anything = fc.anything({
    withBigInt: true,
    withDate: true,
    withMap: true,
    withSet: true,
    withTypedArray: true,
    withNullPrototype: true,
    withObjectString: true,
    maxDepth: 4,
    key: fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.constantFrom('$', '__proto__', 'toJSON', 'constructor', '0'),
    ),
    values: [
      fc.string({ unit: 'binary' }),
      fc.string().map((text) => `${text}\ud800`),
      fc.double(),
      fc.integer(),
      fc.bigInt(),
      fc.boolean(),
      fc.constantFrom(null, undefined, -0, Number.NaN, Number.NEGATIVE_INFINITY),
      fc.date({ noInvalidDate: false }),
      fc.uint8Array(),
    ],
  })

  test('every value of data comes back the same', () => {
    holds(
      fc.property(anything, (value) => {
        same(codec.decode(codec.encode(value)), value, `SEED=${seed}`)
      }),
      { numRuns: 2_000 },
    )
    expect('x' in {}).toBe(false)
  })

  test('every value of data comes back the same from inside objects that look like tags', () => {
    holds(
      fc.property(anything, fc.nat(5), (value, shape) => {
        const shapes = [
          { $: value },
          { $: [value] },
          { $: ['Map', value] },
          { $: { $: value } },
          { $: value, a: 1n },
        ]
        const placed = [shapes[shape], undefined]
        same(codec.decode(codec.encode(placed)), placed, `SEED=${seed}`)
      }),
      { numRuns: 500 },
    )
  })

  test.each([
    ['Uint8ClampedArray', Uint8ClampedArray.of(0, 255)],
    ['Int8Array', Int8Array.of(-128, 127)],
    ['Int16Array', Int16Array.of(-32_768, 32_767)],
    ['Uint16Array', Uint16Array.of(0, 65_535)],
    ['Int32Array', Int32Array.of(-(2 ** 31), 2 ** 31 - 1)],
    ['Uint32Array', Uint32Array.of(0, 2 ** 32 - 1)],
    ['Float32Array', Float32Array.of(0.5, Number.NaN, -0)],
    ['Float64Array', Float64Array.of(0.1, Number.NaN, -0, Number.POSITIVE_INFINITY)],
    ['BigInt64Array', BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n)],
    ['BigUint64Array', BigUint64Array.of(0n, 2n ** 64n - 1n)],
    ['a view of a part of its buffer', Uint32Array.of(1, 2, 3, 4).subarray(1, 3)],
    ['ArrayBuffer', Uint8Array.of(1, 2, 3).buffer],
    ['an empty ArrayBuffer', new ArrayBuffer(0)],
    ['DataView', new DataView(Uint8Array.of(1, 2, 3).buffer, 1, 1)],
  ])('%s comes back, at the top and inside', (_, value) => {
    same(codec.decode(codec.encode(value)), value)
    same(codec.decode(codec.encode({ a: [value] })), { a: [value] })
  })

  test('bytes come back as Uint8Array of their own memory, whatever they were', () => {
    for (const value of [Buffer.from([1, 2]), Uint8Array.of(0, 1, 2, 3).subarray(1, 3)]) {
      for (const back of [
        codec.decode(codec.encode(value)) as Uint8Array,
        (codec.decode(Buffer.from(codec.encode([value]))) as Uint8Array[])[0] as Uint8Array,
        codec.decode(Buffer.from(codec.encode(value))) as Uint8Array,
      ]) {
        expect(Object.getPrototypeOf(back)).toBe(Uint8Array.prototype)
        expect([...back]).toEqual([1, 2])
        expect(back.buffer.byteLength).toBe(2)
      }
    }
  })

  test('values of another realm come back as those of this one', () => {
    const foreign: unknown = runInNewContext(
      '({ map: new Map([[1, new Set([2])]]), at: new Date(5), bytes: new Uint8Array([7]), plain: { a: [1] } })',
    )
    same(codec.decode(codec.encode(foreign)), {
      map: new Map([[1, new Set([2])]]),
      at: new Date(5),
      bytes: Uint8Array.of(7),
      plain: { a: [1] },
    })
    same(codec.decode(codec.encode(runInNewContext('new Uint8Array([7])'))), Uint8Array.of(7))
    same(codec.decode(codec.encode(runInNewContext('({})'))), {})
  })

  test('maps and sets keep their order, keys of any kind, and subclasses lose only their class', () => {
    class Registry extends Map<unknown, unknown> {}
    const value = new Registry([
      ['b', 1],
      [undefined, 2],
      [Number.NaN, new Set(['z', 'a'])],
      [[1], new Date(Number.NaN)],
    ])
    const back = codec.decode(codec.encode(value)) as Map<unknown, unknown>
    expect(Object.getPrototypeOf(back)).toBe(Map.prototype)
    same([...back], [...value])
  })

  test('holes become undefined, shared references become copies', () => {
    const sparse: unknown[] = [1]
    sparse[2] = 3
    same(codec.decode(codec.encode(sparse)), [1, undefined, 3])
    const shared = { a: 1n }
    const back = codec.decode(codec.encode([shared, shared])) as object[]
    same(back, [shared, shared])
    expect(back[0]).not.toBe(back[1])
  })

  test('1,000 levels come back, of every kind of container', () => {
    const wraps: ((inner: unknown) => unknown)[] = [
      (inner) => [inner],
      (inner) => ({ a: inner }),
      (inner) => ({ $: inner }),
      (inner) => new Map([[inner, inner === 0 ? undefined : 1]]),
      (inner) => new Map([['k', inner]]),
      (inner) => new Set([inner]),
    ]
    for (const innermost of [0, undefined, new Date(5)]) {
      for (const wrap of wraps) {
        let value: unknown = innermost
        for (let level = 0; level < 1_000; level++) value = wrap(value)
        same(codec.decode(codec.encode(value)), value)
        expect(refusalOf(wrap(value)).message).toContain('1000 levels deep')
      }
    }
  })
})

describe('JSON habits', () => {
  test('toJSON is asked once, with the key, and what it gives is kept as it is', () => {
    const asked: unknown[] = []
    const value = {
      toJSON(key: string): unknown {
        asked.push(key)
        return new Map([['a', 1n]])
      },
    }
    same(codec.decode(codec.encode({ in: [value] })), { in: [new Map([['a', 1n]])] })
    same(codec.decode(codec.encode(value)), new Map([['a', 1n]]))
    expect(asked).toEqual(['0', ''])
  })

  test('an instance comes back as a plain object of its own enumerable properties', () => {
    class Point {
      x = 1
      at = new Date(5)
      #secret = 2
      get double(): number {
        return this.x * this.#secret
      }
    }
    same(codec.decode(codec.encode(new Point())), { x: 1, at: new Date(5) })
  })

  test('a toJSON that returns its own object is taken at its word', () => {
    class Self {
      a = 1
      toJSON(): this {
        return this
      }
    }
    same(codec.decode(codec.encode([new Self()])), [{ a: 1 }])
  })

  test('boxed primitives are unboxed', () => {
    same(codec.decode(codec.encode([Object(1), Object('a'), Object(false), Object(2n), Object(-0)])), [
      1,
      'a',
      false,
      2n,
      -0,
    ])
  })

  test('symbol keys, inherited and non-enumerable properties are left out', () => {
    const value = Object.defineProperty({ a: 1, [Symbol('s')]: 2 }, 'hidden', { value: 3 })
    same(codec.decode(codec.encode(value)), { a: 1 })
    same(codec.decode(codec.encode(Object.assign(Object.create({ inherited: 1 }), { own: 2 }))), { own: 2 })
  })

  test('a proxy of plain data is encoded as what it shows', () => {
    same(codec.decode(codec.encode(new Proxy({ a: [1, undefined] }, {}))), { a: [1, undefined] })
    same(codec.decode(codec.encode([new Proxy([1, 2n], {})])), [[1, 2n]])
  })
})

describe('refusals', () => {
  const user: Record<string, unknown> = { friends: [1, 2, 3] }
  ;(user.friends as unknown[]).push(user)
  const indirect = new Map<string, unknown>()
  indirect.set('list', [new Set([indirect])])

  test.each<[string, unknown, string]>([
    ['a function', () => 1, 'json codec: value is a function'],
    ['a class', class Point {}, 'json codec: value is a function'],
    ['a method of a value', { user: { greet() {} } }, 'value.user.greet is a function'],
    ['a symbol', [Symbol('s')], 'value[0] is a symbol'],
    ['a cycle', { user }, 'value.user.friends[3] is a cycle'],
    ['a cycle through a map and a set', { m: indirect }, 'value.m<value 0>[0]<member 0> is a cycle'],
    ['a map key', new Map([[() => 1, 1]]), 'value<key 0> is a function'],
    ['a key that is no name', { 'a b': { '': [() => 1] } }, 'value["a b"][""][0] is a function'],
    ['a promise', { user: Promise.resolve(1) }, 'value.user is of class Promise'],
    ['a promise with properties', Object.assign(Promise.resolve(1), { a: 1 }), 'value is of class Promise'],
    ['a weak map', [new WeakMap()], 'value[0] is of class WeakMap'],
    ['a weak set', [new WeakSet()], 'value[0] is of class WeakSet'],
    ['a weak reference', [new WeakRef({})], 'value[0] is of class WeakRef'],
    ['a regular expression', { pattern: /a/ }, 'value.pattern is of class RegExp'],
    ['an error', { error: new TypeError('no') }, 'value.error is of class Error'],
    ['an error with properties', Object.assign(new Error('no'), { code: 'E' }), 'value is of class Error'],
    ['our own error', new CacheError('CACHE_CLOSED', 'no'), 'value is of class Error'],
    ['a DOMException', new DOMException('no'), 'value is of class DOMException'],
    ['shared memory', new SharedArrayBuffer(8), 'value is of class SharedArrayBuffer'],
    ['a response', { r: new Response('x') }, 'value.r is of class Response'],
    ['headers', new Headers({ a: 'b' }), 'value is of class Headers'],
    ['an iterator', [1].values(), 'value is of class Array Iterator'],
    ['a generator', (function* () {})(), 'value is of class Generator'],
    [
      'private fields alone',
      new (class Account {
        #balance = 1
        sum = () => this.#balance
      })(),
      'value.sum is a function',
    ],
    ['an instance without fields', new (class Empty {})(), 'value is of class Empty'],
    ['a prototype alone', Object.create({ a: 1 }), 'value is an object with a prototype'],
    ['a boxed symbol', Object(Symbol('s')), 'value is of class Symbol'],
    ['a forged date', { [Symbol.toStringTag]: 'Date', __proto__: Array.prototype }, 'value cannot be read'],
    [
      'a forged map',
      [{ [Symbol.toStringTag]: 'Map', __proto__: Array.prototype }],
      'value[0] cannot be read',
    ],
    [
      'a forged buffer',
      [{ [Symbol.toStringTag]: 'ArrayBuffer', __proto__: Array.prototype }],
      'value[0] cannot be read',
    ],
    ['a proxy of a map', [new Proxy(new Map(), {})], 'value[0] cannot be read'],
  ])('%s', (_, value, message) => {
    expect(refusalOf(value).message).toContain(message)
  })

  test('a getter, a toJSON or a trap that throws is refused with what it threw as the cause', () => {
    const cause = new CacheError('CACHE_CLOSED', 'thrown inside')
    const fail = (): never => {
      throw cause
    }
    const values: [unknown, string][] = [
      [
        {
          user: {
            get name(): string {
              return fail()
            },
          },
        },
        'value',
      ],
      [
        {
          on: undefined,
          user: {
            get name(): string {
              return fail()
            },
          },
        },
        'value',
      ],
      [{ a: [{ toJSON: fail }] }, 'value.a[0] cannot be read'],
      [{ on: 1n, p: new Proxy({}, { ownKeys: fail }) }, 'value.p cannot be read'],
      [new Proxy({}, { getPrototypeOf: fail }), 'value cannot be read'],
      [new Proxy([1], { get: fail }), 'value cannot be read'],
    ]
    for (const [value, place] of values) {
      const error = refusalOf(value)
      expect(error.cause).toBe(cause)
      expect(error.message).toContain(place)
    }
  })

  test('a getter that throws where others are special is named by its place', () => {
    const value = {
      when: new Date(),
      user: {
        get name(): string {
          throw new Error('no')
        },
      },
    }
    expect(refusalOf(value).message).toBe('json codec: value.user.name cannot be read')
  })

  test('revoked proxies and proxies without an end are refused', () => {
    const { proxy, revoke } = Proxy.revocable({}, {})
    revoke()
    refusalOf(proxy)
    refusalOf([1n, proxy])
    const endless: object = new Proxy(
      {},
      {
        get: (_, property) => (property === 'a' ? endless : undefined),
        ownKeys: () => ['a'],
        getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true, value: 1 }),
      },
    )
    refusalOf(endless)
    const wider: ProxyHandler<object> = {
      get: (_, property) => (typeof property === 'string' ? new Proxy({}, wider) : undefined),
      ownKeys: () => ['a', 'b'],
      getOwnPropertyDescriptor: () => ({ configurable: true, enumerable: true, value: 1 }),
    }
    refusalOf(new Proxy({}, wider))
    const long = new Proxy([], {
      get: (target, property) => (property === 'length' ? 2 ** 32 : Reflect.get(target, property)),
    })
    refusalOf(long)
    refusalOf([1n, long])
  })

  test('a toJSON that always returns another one ends at the depth limit', () => {
    const again = (): unknown => ({ next: { toJSON: again } })
    expect(refusalOf({ toJSON: again }).message).toContain('levels deep')
  })

  test('shared references that would unfold without end are refused', () => {
    let value: unknown = [0]
    for (let level = 0; level < 60; level++) value = [value, value]
    expect(refusalOf(value).message).toContain('4194304 values')
    let special: unknown = [0n]
    for (let level = 0; level < 18; level++) special = [special, special, special]
    expect(refusalOf(special).message).toContain('1048576 values')
    expect(refusalOf(new Array(2 ** 32 - 1)).message).toContain('4194304 values')
    expect(refusalOf([1n, new Array(2 ** 21)]).message).toContain('value[1] makes more than 1048576 values')
  })

  test('the place in a message stays short however deep it is', () => {
    expect(refusalOf(nested(900, () => 1)).message.length).toBeLessThan(300)
    expect(refusalOf({ ['x'.repeat(10_000)]: () => 1 }).message.length).toBeLessThan(300)
  })

  test('a value that was refused leaves nothing behind for the next', () => {
    const value: Record<string, unknown> = { a: { b: 1n } }
    value.self = value
    refusalOf(value)
    delete value.self
    same(codec.decode(codec.encode(value)), { a: { b: 1n } })
  })

  test('memory that was transferred away is refused', () => {
    const bytes = Uint8Array.of(1, 2, 3)
    structuredClone(bytes, { transfer: [bytes.buffer] })
    refusalOf(bytes)
    refusalOf([bytes])
  })
})

describe('hostile bytes', () => {
  test.each<[string, Uint8Array]>([
    ['nothing', new Uint8Array(0)],
    ['a form of a later version', Uint8Array.of(3, 1, 2)],
    ['JSON without a form', utf8('{"a":1}')],
    ['a form alone', utf8(' ')],
    ['a tagged form alone', utf8('\t')],
    ['JSON that is cut', utf8(' {"a":[1,2')],
    ['JSON with something behind', utf8(' {} {}')],
    ['text that is not UTF-8', Uint8Array.of(TEXT, 0xff)],
    ['text with half a surrogate pair', Uint8Array.of(TEXT, 0xed, 0xa0, 0x80)],
    ['JSON that is not UTF-8', Uint8Array.of(PLAIN, 0x22, 0xc3, 0x22)],
    ['a tag of a later version', tagged('{"$":["Temporal","x"]}')],
    ['a tag that is no array', tagged('{"$":1}')],
    ['a tag that is empty', tagged('{"$":[]}')],
    ['a tag without a payload', tagged('{"$":["Date"]}')],
    ['a tag with two payloads', tagged('{"$":["Date",1,2]}')],
    ['undefined with a payload', tagged('{"$":["undefined",1]}')],
    ['a number that is none of them', tagged('{"$":["number","1"]}')],
    ['a number that is a property of objects', tagged('{"$":["number","constructor"]}')],
    ['a bigint in words', tagged('{"$":["bigint","ten"]}')],
    ['a bigint that is empty', tagged('{"$":["bigint",""]}')],
    ['a bigint with a prefix', tagged('{"$":["bigint","0xff"]}')],
    ['a bigint with two signs', tagged('{"$":["bigint","--1"]}')],
    ['a bigint that is a number', tagged('{"$":["bigint",1]}')],
    ['a date beyond dates', tagged('{"$":["Date",8640000000000001]}')],
    ['a date in words', tagged('{"$":["Date","2020-01-01"]}')],
    ['a map with a key and no value', tagged('{"$":["Map",[1]]}')],
    ['a map that is an object', tagged('{"$":["Map",{"length":2}]}')],
    ['a set that is text', tagged('{"$":["Set","abc"]}')],
    ['bytes that are no Base64', tagged('{"$":["Uint8Array","***="]}')],
    ['bytes that are an array', tagged('{"$":["Uint8Array",[1,2]]}')],
    ['bytes that are a length', tagged('{"$":["Uint8Array",1000000000000]}')],
    ['elements that are cut', tagged('{"$":["Float64Array","AAAA"]}')],
    ['a class that would run code', tagged('{"$":["Function","cmV0dXJuIDE="]}')],
    ['a class by a property of objects', tagged('{"$":["__proto__","AAAA"]}')],
    ['a class by another property', tagged('{"$":["constructor","AAAA"]}')],
    ['a kind that is an object', tagged('{"$":[{},"AAAA"]}')],
    ['a damaged tag inside a map key', tagged('{"$":["Map",[{"$":0},1]]}')],
  ])('%s is refused', (_, bytes) => {
    decodeRefusalOf(bytes)
  })

  test('one level more than allowed is refused in both forms, one hundred thousand too', () => {
    const deep = (depth: number, open: string, close: string, inner = ''): string =>
      open.repeat(depth) + inner + close.repeat(depth)
    expect(codec.decode(utf8(` ${deep(1_000, '[', ']')}`))).toBeDefined()
    expect(codec.decode(tagged(deep(1_000, '[', ']')))).toBeDefined()
    for (const depth of [1_001, 100_000]) {
      for (const form of [' ', '\t']) {
        decodeRefusalOf(utf8(form + deep(depth, '[', ']')))
        decodeRefusalOf(utf8(form + deep(depth, '{"a":', '}', '1')))
        decodeRefusalOf(utf8(form + deep(depth, '[', '')))
      }
      decodeRefusalOf(tagged(deep(depth, '{"$":["Set",[', ']]}')))
      decodeRefusalOf(tagged(deep(depth, '{"$":["Object",', ']}', '1')))
    }
  })

  test('brackets in text are not taken for depth, nor many siblings', () => {
    const value = { text: '[{'.repeat(5_000), list: Array.from({ length: 5_000 }, () => [{}]) }
    same(codec.decode(codec.encode(value)), value)
    const special = { ...value, at: new Date(5) }
    same(codec.decode(codec.encode(special)), special)
  })

  test('an integer of a million digits is read at once', () => {
    const value = 2n ** 4_000_000n - 1n
    expect(codec.decode(codec.encode(value)) === value).toBe(true)
  })

  test('__proto__ comes back as an own property, in both forms and at any depth, and pollutes nothing', () => {
    const own = '{"__proto__":{"isAdmin":true},"constructor":{"prototype":{"isAdmin":true}}}'
    for (const bytes of [
      utf8(` ${own}`),
      tagged(own),
      tagged(`{"$":["Map",["__proto__",${own}]]}`),
      tagged(`{"__proto__":{"$":["Map",["isAdmin",true]]},"isAdmin":{"$":["undefined"]}}`),
      codec.encode(JSON.parse(own)),
      codec.encode({ at: new Date(5), inner: JSON.parse(own) }),
    ]) {
      const value = codec.decode(bytes) as Record<string, unknown>
      expect(({} as Record<string, unknown>).isAdmin).toBeUndefined()
      if (value instanceof Map) continue
      expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
      expect(value.isAdmin).toBeUndefined()
    }
    const back = codec.decode(codec.encode({ at: 1n, inner: JSON.parse(own) })) as { inner: object }
    expect(Object.hasOwn(back.inner, '__proto__')).toBe(true)
    expect(Object.getPrototypeOf(back.inner)).toBe(Object.prototype)
  })

  test('a changed Object.prototype changes nothing in what comes back', () => {
    const value = { a: [{ $: ['undefined'] }, undefined, {}], b: new Map([['k', { c: 1 }]]) }
    const bytes = codec.encode(value)
    Object.defineProperty(Object.prototype, '$', {
      value: ['undefined'],
      configurable: true,
      writable: true,
      enumerable: true,
    })
    try {
      expect((codec.decode(bytes) as { a: unknown[] }).a[1]).toBeUndefined()
      expect(Object.hasOwn((codec.decode(bytes) as { a: object[] }).a[2] as object, '$')).toBe(false)
      expect([...codec.encode(value)]).toEqual([...bytes])
    } finally {
      Reflect.deleteProperty(Object.prototype, '$')
    }
    same(codec.decode(bytes), value)
  })

  test('bytes with any few of them changed give a value or CACHE_DECODE_FAILED', () => {
    const value = {
      list: [1, -0, 2n, 'text', undefined, null],
      map: new Map<unknown, unknown>([['k', new Set([new Date(5)])]]),
      bytes: Uint8Array.of(1, 2, 3, 4),
      doubles: Float64Array.of(1.5),
      inner: { $: { $: 1 } },
    }
    const originals = [
      value,
      { ...value, list: [], map: 0, bytes: 0, doubles: 0 },
      'text é',
      value.bytes,
    ].map((one) => codec.encode(one))
    const change = fc.tuple(fc.nat(1_000), fc.oneof(fc.nat(255), fc.constantFrom(...utf8('{}[]",:$\\ \t01'))))
    holds(
      fc.property(
        fc.constantFrom(...originals),
        fc.array(change, { minLength: 1, maxLength: 4 }),
        (original, changes) => {
          const bytes = Uint8Array.from(original)
          for (const [at, byte] of changes) bytes[at % bytes.length] = byte
          try {
            codec.decode(bytes)
          } catch (error) {
            expect(error instanceof CacheError && error.code, `SEED=${seed}`).toBe('CACHE_DECODE_FAILED')
          }
          expect(Object.keys(Object.prototype), `SEED=${seed}`).toEqual([])
        },
      ),
      { numRuns: 10_000 },
    )
  })

  test('the message says how many bytes and why, and nothing of what they hold', () => {
    const error = decodeRefusalOf(tagged('{"$":["Secret","hunter2"]}'))
    expect(error.message).toBe(
      'json codec: 27 bytes are not of this codec: a tag is damaged, or of a later version',
    )
    expect(error.cause).toBeUndefined()
    expect(decodeRefusalOf(utf8(' {"password":hunter2')).message).not.toContain('hunter2')
  })
})

describe('without isWellFormed, as in engines before 2023', () => {
  test('text that is well-formed is text, and the rest survives', () => {
    const native = Object.getOwnPropertyDescriptor(String.prototype, 'isWellFormed') as PropertyDescriptor
    Reflect.deleteProperty(String.prototype, 'isWellFormed')
    try {
      for (const text of ['', 'a', '\u{1f469}', 'é'.repeat(1_000)]) expect(codec.encode(text)[0]).toBe(TEXT)
      for (const text of ['\ud800', 'a\udc00b', '\udc00\ud800', '\ud800\ud800\udc00']) {
        const bytes = codec.encode(text)
        expect(bytes[0]).toBe(PLAIN)
        expect(codec.decode(bytes)).toBe(text)
      }
    } finally {
      Object.defineProperty(String.prototype, 'isWellFormed', native)
    }
  })
})
