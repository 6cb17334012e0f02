// The current key: its bytes in scratch, its signature in the header, and how it is compared.
//
// A call names its key once, by staging it; every operation then works on the current key, so a miss
// can be followed by a write without staging again. The bytes are padded with zeros up to 32 bytes or
// the next multiple of eight, as they are in records and in the arena, so keys are compared and copied
// in whole words and short ones without a branch.

import {
  bytesIn,
  encodingIn,
  INLINE_KEY_BYTES,
  INTEGER,
  inlineKeyAt,
  keyReferenceOf,
  keyWord,
  signature,
} from './entry'
import { hashBytes, hashWord, seedFor } from './hash'
import { CURRENT_KEY_AT, scratchAt } from './layout'

export function currentKey(): u64 {
  return load<u64>(CURRENT_KEY_AT)
}

/** Makes the `length` units that the host has written to scratch the current key. */
export function stage(length: u32, encoding: u32): void {
  const word = keyWord(length, encoding)
  pad(bytesIn(word))
  if (encoding == INTEGER) store<u64>(CURRENT_KEY_AT, integerSignature(load<u64>(scratchAt)))
  else seal(word)
}

/** Makes a safe integer the current key; -0 is 0, as in a `Map`. */
export function stageInteger(value: f64): void {
  pad(0)
  store<f64>(scratchAt, value + 0)
  store<u64>(CURRENT_KEY_AT, integerSignature(bitsOf(value)))
}

/** What an integer's key bytes are, as one word. */
export function bitsOf(value: f64): u64 {
  return reinterpret<u64>(value + 0)
}

/** The signature of an integer, from its bits: what staging it would make the current key. */
export function integerSignature(bits: u64): u64 {
  return signature(hashWord(bits, seedFor(INTEGER)), keyWord(8, INTEGER))
}

/** Writes eight bytes of a key that is being staged. */
export function stageWord(offset: u32, word: u64): void {
  store<u64>(scratchAt + offset, word)
}

/** Writes the zeros behind the first `bytes` bytes of a key: enough for a short one and a long one. */
export function pad(bytes: u32): void {
  const end = scratchAt + bytes
  store<u64>(end, 0)
  store<u64>(end, 0, 8)
  store<u64>(end, 0, 16)
  store<u64>(end, 0, 24)
}

/** Hashes the padded text in scratch; with `word` it becomes the current key. */
export function seal(word: u32): void {
  const hash = hashBytes(scratchAt, bytesIn(word), seedFor(encodingIn(word)))
  store<u64>(CURRENT_KEY_AT, signature(u32(hash), word))
}

/** Whether `slot`, whose signature is the current key's, also has its bytes. */
export function hasCurrentBytes(slot: u32, word: u32): bool {
  const bytes = bytesIn(word)
  const staged = scratchAt
  if (bytes > INLINE_KEY_BYTES) return isSame(staged, usize(keyReferenceOf(slot)), bytes)
  const key = inlineKeyAt(slot)
  return (
    ((load<u64>(staged) ^ load<u64>(key)) |
      (load<u64>(staged, 8) ^ load<u64>(key, 8)) |
      (load<u64>(staged, 16) ^ load<u64>(key, 16)) |
      (load<u64>(staged, 24) ^ load<u64>(key, 24))) ==
    0
  )
}

function isSame(left: usize, right: usize, bytes: u32): bool {
  for (let at: u32 = 0; at < bytes; at += 8) {
    if (load<u64>(left + at) != load<u64>(right + at)) return false
  }
  return true
}

/** Copies the current key's bytes into a record. */
export function copyInline(target: usize): void {
  const staged = scratchAt
  store<u64>(target, load<u64>(staged))
  store<u64>(target, load<u64>(staged, 8), 8)
  store<u64>(target, load<u64>(staged, 16), 16)
  store<u64>(target, load<u64>(staged, 24), 24)
}

/** Copies the current key's bytes, padding and all, into the arena. */
export function copyLong(target: usize, bytes: u32): void {
  memory.copy(target, scratchAt, usize((bytes + 7) & ~7))
}
