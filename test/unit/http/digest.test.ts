import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, test } from 'vitest'
import { sha256 } from '../../../src/http/digest.ts'
import { holds } from '../../support/seed.ts'

describe('SHA-256', () => {
  // FIPS 180-4, and the NIST examples.
  const vectors: [string, string][] = [
    ['', 'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855'],
    ['abc', 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'],
    [
      'abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq',
      '248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1',
    ],
  ]
  for (const [text, digest] of vectors) {
    test(`of ${JSON.stringify(text)} is the published one`, () => assert.equal(sha256(text), digest))
  }

  test('agrees with that of Node for any bytes', () => {
    holds(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        assert.equal(sha256(bytes), createHash('sha256').update(bytes).digest('hex'))
      }),
    )
  })
})
