import * as msgpackr from 'msgpackr'
import { describe, test } from 'vitest'
import { msgpackrCodec } from '../../src/codecs/msgpackr.ts'
import { codecContract } from '../../src/testing/codec-contract.ts'

codecContract('msgpackr', () => msgpackrCodec({ msgpackr }), { describe, test })
codecContract(
  'a Packr passed in',
  () => msgpackrCodec({ msgpackr: new msgpackr.Packr({ useRecords: false }) }),
  { describe, test },
)
