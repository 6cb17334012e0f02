// The entry for JavaScript engines: everything of index.ts, and keys read straight out of strings.
//
// The two imports are the engine's own string builtins where it has them, and stand-ins that are never
// called where it does not; then the host stages keys as in the base entry. Reading characters in here
// costs about a nanosecond each, and what is gained is more than that: a string that was just put together
// needs no flattening, no hashing and no copy by JavaScript first.
//
// One pass over the characters: eight are packed into a word and checked together, and if one is above
// 255 the pass starts again in the two-byte form. These imports need decorators, here alone.

import { LATIN1, TWO_BYTE, keyWord } from './entry'
import { pad, seal, stageWord } from './keys'
import { MAX_KEY_LENGTH } from './layout'
import { get, set } from './store'

export * from './index'

// @ts-ignore: decorator
@external('wasm:js-string', 'length')
declare function lengthOf(text: externref): i32

// @ts-ignore: decorator
@external('wasm:js-string', 'charCodeAt')
declare function codeAt(text: externref, index: i32): i32

/** Makes a string the current key. 0, or -1 when it is too long, and then the current key is undefined. */
export function stageString(key: externref): i32 {
  return stage(key) ? 0 : -1
}

/** As `get`; -1 also when the key is too long to be here. */
export function getString(key: externref, now: f64): i32 {
  return stage(key) ? get(now) : -1
}

/** As `set`; -2 when the key is too long. */
export function setString(key: externref, freshUntil: f64, usableUntil: f64, now: f64): i32 {
  return stage(key) ? set(freshUntil, usableUntil, now) : -2
}

function stage(key: externref): bool {
  const length = u32(lengthOf(key))
  if (length > MAX_KEY_LENGTH) return false
  if (stageLatin1(key, length)) {
    seal(keyWord(length, LATIN1))
  } else {
    stageTwoByte(key, length)
    seal(keyWord(length, TWO_BYTE))
  }
  return true
}

/** One byte a character. Answers false, with scratch half written, at a character above 255. */
function stageLatin1(key: externref, length: u32): bool {
  pad(0)
  const whole = length & ~7
  let index: u32 = 0
  for (; index < whole; index += 8) {
    const c0 = codeAt(key, index)
    const c1 = codeAt(key, index + 1)
    const c2 = codeAt(key, index + 2)
    const c3 = codeAt(key, index + 3)
    const c4 = codeAt(key, index + 4)
    const c5 = codeAt(key, index + 5)
    const c6 = codeAt(key, index + 6)
    const c7 = codeAt(key, index + 7)
    if (u32(c0 | c1 | c2 | c3 | c4 | c5 | c6 | c7) > 255) return false
    const low = u32(c0 | (c1 << 8) | (c2 << 16) | (c3 << 24))
    const high = u32(c4 | (c5 << 8) | (c6 << 16) | (c7 << 24))
    stageWord(index, u64(low) | (u64(high) << 32))
  }
  let seen: i32 = 0
  let word: u64 = 0
  if (length & 4) {
    const c0 = codeAt(key, index)
    const c1 = codeAt(key, index + 1)
    const c2 = codeAt(key, index + 2)
    const c3 = codeAt(key, index + 3)
    seen = c0 | c1 | c2 | c3
    word = u64(u32(c0 | (c1 << 8) | (c2 << 16) | (c3 << 24)))
    index += 4
  }
  if (length & 2) {
    const c0 = codeAt(key, index)
    const c1 = codeAt(key, index + 1)
    seen |= c0 | c1
    word |= u64(u32(c0 | (c1 << 8))) << (u64(index & 4) << 3)
    index += 2
  }
  if (length & 1) {
    const c0 = codeAt(key, index)
    seen |= c0
    word |= u64(u32(c0)) << (u64(index & 6) << 3)
  }
  // Written also when nothing is left over, as the padding of a key of whole words.
  stageWord(whole, word)
  return u32(seen) <= 255
}

/** Two bytes a character, for keys with at least one above 255. */
function stageTwoByte(key: externref, length: u32): void {
  pad(0)
  const whole = length & ~3
  let index: u32 = 0
  for (; index < whole; index += 4) {
    const low = u32(codeAt(key, index) | (codeAt(key, index + 1) << 16))
    const high = u32(codeAt(key, index + 2) | (codeAt(key, index + 3) << 16))
    stageWord(index << 1, u64(low) | (u64(high) << 32))
  }
  let word: u64 = 0
  for (let shift: u64 = 0; index < length; ++index) {
    word |= u64(u32(codeAt(key, index))) << shift
    shift += 16
  }
  stageWord(whole << 1, word)
}
