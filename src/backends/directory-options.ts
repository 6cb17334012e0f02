// What the file tier and the file bus are told alike, and how that is checked: when they are made, without
// touching the directory.

import { realpathSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import type { Clock } from '../clock.ts'
import { describe } from '../duration.ts'
import { checkClock, checkCount, checkRandom } from '../options.ts'
import type { Random } from '../random.ts'

/** What `fileTier` and `fileBus` take alike. */
export interface SharedDirectoryOptions {
  /**
   * Where the files are; made when it is missing. It must belong to this user, not be writable by others,
   * and lie on a local disk of this machine.
   */
  directory: string

  /**
   * How many bytes of mutations the log keeps. Who falls behind by more than half of it has to check its
   * copies one by one; at about 100 bytes a mutation the default is 10,000 of them.
   *
   * @defaultValue 1 MiB
   */
  logBytes?: number

  /**
   * How long a change waits for other processes to release the directory, in milliseconds.
   *
   * @defaultValue 5,000
   */
  lockWaitMs?: number

  /** @defaultValue the machine's clock */
  clock?: Clock

  /** @defaultValue the machine's randomness */
  random?: Random
}

/** `SharedDirectoryOptions`, checked and complete. */
export interface ResolvedDirectory {
  /** Absolute, with the links in it resolved. */
  readonly path: string
  readonly givenPath: string
  readonly logBytes: number
  readonly lockWaitMs: number
  readonly clock: Clock
  readonly random: Random
}

/** The names of `SharedDirectoryOptions`. */
export const directoryOptionNames: readonly string[] = [
  'clock',
  'directory',
  'lockWaitMs',
  'logBytes',
  'random',
]

/** @throws TypeError or RangeError with the option's name, the value and the rule. */
export function resolveDirectory(options: SharedDirectoryOptions): ResolvedDirectory {
  const { directory } = options
  if (typeof directory !== 'string') throw new TypeError(`directory: ${describe(directory)} is not a path`)
  if (directory === '' || directory.includes('\0')) {
    throw new RangeError(
      `directory: ${describe(directory)} must be a path that is not empty and holds no NUL`,
    )
  }
  const givenPath = resolve(directory)
  return {
    path: realPathOf(givenPath),
    givenPath,
    logBytes: checkCount(options.logBytes, 'logBytes', 4096, 2 ** 30, 2 ** 20),
    lockWaitMs: checkCount(options.lockWaitMs, 'lockWaitMs', 1, 3_600_000, 5_000),
    clock: checkClock(options.clock),
    random: checkRandom(options.random),
  }
}

/** The path without links, as far as it is there already. */
function realPathOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const above = dirname(path)
    return above === path ? path : join(realPathOf(above), basename(path))
  }
}
