import { open as openEnvironment } from 'lmdb'
import { describe, test } from 'vitest'
import { ManualClock, tierContract } from '../../src/testing/index.ts'
import { lmdbTier } from '../../src/tiers/lmdb.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

const open = async () => {
  const clock = new ManualClock()
  const folder = makeFolder()
  const environment = openEnvironment({ path: folder, noSync: true })
  const [tier, other] = [lmdbTier({ environment, clock }), lmdbTier({ environment, clock })]
  return {
    tier,
    other,
    clock,
    advance: (byMs: number) => clock.advance(byMs),
    close: async () => {
      await environment.close()
      removeFolder(folder)
    },
  }
}

tierContract('lmdb', open, { describe, test })
