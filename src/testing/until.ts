// Waiting in a suite, without a clock of its own.

import { isTrue } from './expect.ts'

const TURNS = 500

/**
 * Calls `settle` until `condition` holds; fails after 500 times.
 *
 * @param what - What is waited for, for the message.
 */
export async function until(
  settle: () => Promise<void>,
  condition: () => boolean,
  what: string,
): Promise<void> {
  for (let turn = 0; turn < TURNS && !condition(); turn++) await settle()
  isTrue(condition(), `waited in vain for ${what}`)
}
