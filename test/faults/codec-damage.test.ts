// Stored entries that were damaged: with whatever codec, no damaged byte gets as far as being a value.

import * as msgpackr from 'msgpackr'
import { expect, test } from 'vitest'
import type { Codec } from '../../src/codecs/codec.ts'
import { compressedCodec } from '../../src/codecs/compressed.ts'
import { encryptedCodec } from '../../src/codecs/encrypted.ts'
import { jsonCodec } from '../../src/codecs/json.ts'
import { msgpackrCodec } from '../../src/codecs/msgpackr.ts'
import { structuredCodec } from '../../src/codecs/structured.ts'
import { decodeEnvelope, encodeEnvelope } from '../../src/coordinator/envelope.ts'
import { damaged } from '../support/damage.ts'

const keys = [{ id: 'one', key: new Uint8Array(32).fill(1) }]
const codecs: readonly Codec[] = [
  jsonCodec(),
  msgpackrCodec({ msgpackr }),
  structuredCodec(),
  compressedCodec(jsonCodec(), { thresholdBytes: 0 }),
  encryptedCodec(jsonCodec(), { keys }),
]
const value = {
  name: 'Ada',
  tags: ['a', 'a', 'a', 'a'],
  at: new Date(5),
  scan: Uint8Array.of(1, 2, 3),
  next: null,
}

test.each(codecs)(
  '$name: every byte changed, cut and doubled is refused, and never a wrong value',
  (codec) => {
    const whole = encodeEnvelope(codec, 'a:1:b', value, 0)
    expect(decodeEnvelope(codec, 'a:1:b', whole)).toEqual({ value, staleMs: 0 })
    let tried = 0
    for (const [what, bytes] of damaged(whole)) {
      const decode = (): unknown => decodeEnvelope(codec, 'a:1:b', bytes)
      expect(decode, what).toThrow(expect.objectContaining({ code: 'CACHE_DECODE_FAILED' }))
      tried++
    }
    expect(tried).toBeGreaterThan(10 * whole.length)
  },
)
