import { gzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { decodeTrace, readTrace } from '../../../traces/read-trace.js'

const web12 = new URL('../../../traces/web12.ctr.gz', import.meta.url)

/** A file of the words given, whatever they mean; `magic` is what it begins with. */
function fileOf(words: number[], magic = 'CTR1'): Uint8Array {
  const bytes = Buffer.alloc(4 + words.length * 4)
  bytes.write(magic, 'latin1')
  for (const [turn, word] of words.entries()) bytes.writeUInt32LE(word, 4 + turn * 4)
  return gzipSync(bytes)
}

describe('decodeTrace', () => {
  test('keys are summed up from their differences, around the end of 32 bits', () => {
    const trace = decodeTrace(fileOf([4, 3, 0, 5, 2, 2 ** 32 - 3, 1]), 'small')
    expect([...trace.keys]).toEqual([5, 7, 4, 5])
    expect(trace).toMatchObject({ requests: 4, uniqueKeys: 3 })
    expect(trace).toMatchObject({ sizes: undefined, ttlSeconds: undefined, times: undefined })
  })

  test('a sum that leaves 32 bits upwards begins anew at zero', () => {
    expect([...decodeTrace(fileOf([2, 2, 0, 2 ** 32 - 1, 2]), 'small').keys]).toEqual([2 ** 32 - 1, 1])
  })

  test('all columns are told apart', () => {
    const trace = decodeTrace(fileOf([2, 1, 7, 9, 0, 100, 200, 60, 0, 10, 15]), 'small')
    expect([...trace.keys]).toEqual([9, 9])
    expect([...(trace.sizes ?? [])]).toEqual([100, 200])
    expect([...(trace.ttlSeconds ?? [])]).toEqual([60, 0])
    expect([...(trace.times ?? [])]).toEqual([10, 25])
  })

  test('a column that is left out does not move the others', () => {
    const trace = decodeTrace(fileOf([2, 2, 5, 1, 1, 100, 200, 10, 15]), 'small')
    expect([...(trace.sizes ?? [])]).toEqual([100, 200])
    expect(trace.ttlSeconds).toBeUndefined()
    expect([...(trace.times ?? [])]).toEqual([10, 25])
  })

  test('a trace of no requests is one', () => {
    expect(decodeTrace(fileOf([0, 0, 0]), 'small').keys).toHaveLength(0)
  })

  test.each([
    ['no gzip', Buffer.from('CTR1'), 'small: not a whole gzip file'],
    ['gzip that was cut off', fileOf([1, 1, 0, 5]).subarray(0, 20), 'small: not a whole gzip file'],
    ['another format', fileOf([1, 1, 0, 5], 'CTR2'), 'small: not a trace'],
    ['a header that was cut off', fileOf([1, 1]), 'small: not a trace'],
    ['an unknown column', fileOf([1, 1, 8, 5, 1]), 'flags 8 name a column'],
    ['a request too few', fileOf([2, 1, 0, 5]), '20 bytes unzipped, but 2 requests in 1 columns take 24'],
    ['a request too many', fileOf([1, 1, 0, 5, 0]), '24 bytes unzipped'],
    ['a missing column', fileOf([1, 1, 1, 5]), '1 requests in 2 columns take 24'],
    ['a wrong count of keys', fileOf([2, 2, 0, 5, 0]), '1 unique keys, but its header says 2'],
  ])('%s is refused with the name and the reason', (_, file, message) => {
    expect(() => decodeTrace(file, 'small')).toThrow(message)
  })
})

test('the trace that ships is whole', async () => {
  const trace = await readTrace(web12)
  expect(trace).toMatchObject({ requests: 95_607, uniqueKeys: 13_756 })
  expect(trace.keys).toHaveLength(95_607)
})

test('a file that is no trace is refused by its name', async () => {
  await expect(readTrace(new URL(import.meta.url))).rejects.toThrow(
    'read-trace.test.ts: not a whole gzip file',
  )
})
