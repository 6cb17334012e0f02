import { setImmediate } from 'node:timers/promises'
import { describe, test } from 'vitest'
import { fileBus } from '../../src/bus/file.ts'
import { busContract, ManualClock } from '../../src/testing/index.ts'
import { makeFolder, removeFolder } from '../support/folder.ts'

const open = async () => {
  const directory = makeFolder()
  const options = { directory, clock: new ManualClock() }
  const [bus, other] = [fileBus(options), fileBus(options)]
  return { bus, other, settle: () => setImmediate(), close: () => removeFolder(directory) }
}

busContract('file', open, { describe, test })
