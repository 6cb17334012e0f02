import { describe, test } from 'vitest'
import { ManualClock } from '../../src/testing/manual-clock.ts'
import { tierContract } from '../../src/testing/tier-contract.ts'
import { fileTier } from '../../src/tiers/file.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

const open = async () => {
  const clock = new ManualClock()
  const directory = makeFolder()
  const [tier, other] = [fileTier({ directory, clock }), fileTier({ directory, clock })]
  return {
    tier,
    other,
    clock,
    advance: (byMs: number) => clock.advance(byMs),
    close: () => removeFolder(directory),
  }
}

tierContract('file', open, { describe, test })
