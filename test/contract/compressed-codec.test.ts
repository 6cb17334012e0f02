import { describe, test } from 'vitest'
import { compressedCodec } from '../../src/codecs/compressed.ts'
import { jsonCodec } from '../../src/codecs/json.ts'
import { structuredCodec } from '../../src/codecs/structured.ts'
import { codecContract } from '../../src/testing/codec-contract.ts'
import { algorithmsHere } from '../support/codecs.ts'

for (const algorithm of algorithmsHere()) {
  codecContract(
    `compressed by ${algorithm}`,
    () => compressedCodec(jsonCodec(), { algorithm, thresholdBytes: 0 }),
    { describe, test },
  )
}
codecContract('compressed around structured', () => compressedCodec(structuredCodec()), { describe, test })
