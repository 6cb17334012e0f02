import { describe, test } from 'vitest'

import { jsonCodec } from '../../src/codecs/json.ts'
import { codecContract } from '../../src/testing/codec-contract.ts'

codecContract('json', () => jsonCodec(), { describe, test })
