// Random numbers for policies: which entries to look at, and who wins against the odds. Seeded from the hash's
// seed, so nobody outside can foresee them and a test can.
//
// Source: Marsaglia, Xorshift RNGs (2003), 13-17-5.

import { POLICY_STATE_AT, SEED_AT } from '../layout'

/** The generator's state; u32, never 0. */
const RANDOM_AT: u32 = POLICY_STATE_AT + 20

export function reset(): void {
  const seed = load<u32>(SEED_AT)
  store<u32>(RANDOM_AT, seed == 0 ? 0x9e37_79b9 : seed)
}

/** 32 random bits, not all of them 0. */
export function random(): u32 {
  let state = load<u32>(RANDOM_AT)
  state ^= state << 13
  state ^= state >> 17
  state ^= state << 5
  store<u32>(RANDOM_AT, state)
  return state
}
