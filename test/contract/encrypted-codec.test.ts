import { describe, test } from 'vitest'
import { compressedCodec } from '../../src/codecs/compressed.ts'
import { encryptedCodec } from '../../src/codecs/encrypted.ts'
import { jsonCodec } from '../../src/codecs/json.ts'
import { codecContract } from '../../src/testing/codec-contract.ts'

const keys = [{ id: 'one', key: new Uint8Array(32).fill(1) }]

codecContract('encrypted', () => encryptedCodec(jsonCodec(), { keys }), { describe, test })
codecContract(
  'encrypted around compressed',
  () => encryptedCodec(compressedCodec(jsonCodec(), { thresholdBytes: 0 }), { keys }),
  { describe, test },
)
