// Where an entry's value is and what the entry weighs, in a cache with a budget in bytes.
//
//    at  bytes  field
//     0      4  valueAt     address of the value in the heap; nothing where the host holds it
//     4      4  word        bits 0-2 kind, from 3 on bytes; where the host holds the value, the entry's weight
//     8         next slot
//
// In the heap a key that is too long for its record and the value share one block, the key in front and padded
// to whole words. What the kind says is the host's business. Without a budget every entry weighs 1, so a policy
// that shares out weight shares out entries.

import { bytesIn, INLINE_KEY_BYTES, keyReferenceOf, keyWordOf, setKeyReference } from './entry'
import { BYTES, flags, VALUE_BYTES, valuesAt, WEIGHED } from './layout'

const WORD = 4
const KIND_BITS: u32 = 3
/** In front of what a block holds (blocks.ts). */
export const BLOCK_HEADER_BYTES: u32 = 8

function addressOf(slot: u32): usize {
  return valuesAt + usize(slot) * VALUE_BYTES
}

export function valueAtOf(slot: u32): usize {
  return load<u32>(addressOf(slot))
}

/** Bytes and kind of a value in one number. */
export function valueWord(bytes: u32, kind: u32): u32 {
  return (bytes << KIND_BITS) | kind
}

export function valueBytesIn(word: u32): u32 {
  return word >> KIND_BITS
}

export function valueWordOf(slot: u32): u32 {
  return load<u32>(addressOf(slot), WORD)
}

export function setValue(slot: u32, at: usize, word: u32): void {
  store<u32>(addressOf(slot), u32(at))
  store<u32>(addressOf(slot), word, WORD)
}

/** Bytes in front of the value, for a key with this key word. */
export function keyBytesInBlock(word: u32): u32 {
  const bytes = bytesIn(word)
  return bytes <= INLINE_KEY_BYTES ? 0 : (bytes + 7) & ~7
}

/** The block of a live entry. */
export function blockOf(slot: u32): usize {
  return blockBefore(valueAtOf(slot), keyWordOf(slot))
}

/** The block of a value in front of which lies the key with this key word. */
export function blockBefore(valueAt: usize, word: u32): usize {
  return valueAt - keyBytesInBlock(word) - BLOCK_HEADER_BYTES
}

/** What a block takes for `bytes` of key and value: whole granules of 16, its header among them. */
export function blockBytes(bytes: u32): u32 {
  return (bytes + BLOCK_HEADER_BYTES + 15) & ~15
}

export function weightOf(slot: u32): u32 {
  if (!(flags & WEIGHED)) return 1
  const word = valueWordOf(slot)
  return flags & BYTES ? blockBytes(keyBytesInBlock(keyWordOf(slot)) + valueBytesIn(word)) : word
}

/** A live entry's block was moved by `distance`. */
export function follow(slot: u32, distance: i32): void {
  store<u32>(addressOf(slot), u32(valueAtOf(slot)) + distance)
  if (keyBytesInBlock(keyWordOf(slot)) != 0) setKeyReference(slot, keyReferenceOf(slot) + distance)
}
