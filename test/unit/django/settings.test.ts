import { expect, test } from 'vitest'
import { type CacheSettings, configureCaches, createCacheTable } from '../../../src/django/index.ts'
import type { SqlExecutor } from '../../../src/tiers/sql.ts'

const neverAsked = (): never => {
  throw new Error('asked')
}
const executor: SqlExecutor = { dialect: 'sqlite', query: neverAsked, transaction: neverAsked }

const locmem = { BACKEND: 'locmem' }
test.each<[string, Record<string, unknown>, string]>([
  ['no default', { other: locmem }, "CACHES: there is no 'default'"],
  ['no backend', { default: {} }, 'CACHES.default.BACKEND: undefined'],
  ['a setting that is none', { default: { ...locmem, TIMEOUTS: 1 } }, 'did you mean TIMEOUT?'],
  [
    'a timeout that is no number',
    { default: { ...locmem, TIMEOUT: 'soon' } },
    'CACHES.default.TIMEOUT: "soon"',
  ],
  ['options that are no object', { default: { ...locmem, OPTIONS: [] } }, 'CACHES.default.OPTIONS: '],
  [
    'an option that the backend does not know',
    { default: { ...locmem, OPTIONS: { MAX_ENTRY: 1 } } },
    'CACHES.default.OPTIONS: there is no option "MAX_ENTRY"',
  ],
  [
    'a bound of nothing',
    { default: { ...locmem, OPTIONS: { MAX_ENTRIES: 0 } } },
    'CACHES.default.OPTIONS.MAX_ENTRIES: 0',
  ],
  ['files without a directory', { default: { BACKEND: 'filebased' } }, 'CACHES.default.LOCATION: filebased'],
  [
    'files in two',
    { default: { BACKEND: 'filebased', LOCATION: ['/a', '/b'] } },
    'CACHES.default.LOCATION: ',
  ],
  ['a database without a table', { default: { BACKEND: 'db' } }, 'CACHES.default.LOCATION: db needs'],
  [
    'a table that cannot be one',
    { default: { BACKEND: 'db', LOCATION: 'a"b' } },
    'CACHES.default.LOCATION: "a\\"b" may have',
  ],
  [
    'a database that was not given',
    { default: locmem, rows: { BACKEND: 'db', LOCATION: 'rows', OPTIONS: { DATABASE: 'second' } } },
    'CACHES.rows.OPTIONS.DATABASE: "second" is none of the databases given',
  ],
  ['memcached without a server', { default: { BACKEND: 'memcached' } }, 'CACHES.default.LOCATION: '],
  [
    'one server twice',
    { default: { BACKEND: 'memcached', LOCATION: 'a;a' } },
    'CACHES.default.LOCATION: one of them is named twice',
  ],
  [
    'a keyspace with blanks',
    { default: { BACKEND: 'memcached', LOCATION: 'a', OPTIONS: { keyspace: 'a b' } } },
    'CACHES.default.OPTIONS.keyspace: "a b"',
  ],
  [
    'a key function that was not given',
    { default: { ...locmem, KEY_FUNCTION: 'path.to.it' } },
    'CACHES.default.KEY_FUNCTION: "path.to.it"',
  ],
])('%s is refused at once, by its name', (_, settings, message) => {
  expect(() =>
    configureCaches(settings as Record<string, CacheSettings>, { databases: { default: executor } }),
  ).toThrow(message)
})

test('a database of which there is none says how one is given', () => {
  expect(() => configureCaches({ default: { BACKEND: 'db', LOCATION: 'rows' } })).toThrow(
    'CACHES.default.BACKEND: "default" is none of the databases given; pass databases: { default: ',
  )
})

test('a first level stands before nothing but a store', () => {
  for (const LOCATION of ['nowhere', 'default', 'nothing']) {
    const caches = configureCaches({
      default: { BACKEND: 'tiered', LOCATION },
      nothing: { BACKEND: 'dummy' },
    })
    expect(() => caches('default')).toThrow(`CACHES.default.LOCATION: '${LOCATION}'`)
  }
})

test('the making of tables refuses the same settings, and makes none before that', async () => {
  const settings = { default: { BACKEND: 'db', LOCATION: 'rows' }, other: { BACKEND: 'db', LOCATION: '' } }
  await expect(createCacheTable(settings, { databases: { default: executor } })).rejects.toThrow(
    'CACHES.other.LOCATION: ',
  )
  await expect(createCacheTable(settings, { database: 'x' } as never)).rejects.toThrow(
    'CACHES.default.BACKEND',
  )
})
