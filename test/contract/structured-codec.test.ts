import { describe, test } from 'vitest'
import { structuredCodec } from '../../src/codecs/structured.ts'
import { codecContract } from '../../src/testing/codec-contract.ts'

codecContract('structured', () => structuredCodec(), { describe, test })
