// The entry record: one cache line per entry, named by its slot number.
//
//    at  bytes  field
//     0      4  hash          32 bits of the key's hash: index bucket from the high end, tag from the low
//     4      4  key word      bits 0-16 length, 17-18 encoding, 19 hidden, 20 live
//     8      8  freshUntil    f64, milliseconds of the host's monotonic clock; Infinity means never
//    16      8  usableUntil   f64, likewise; the entry is in the wheel exactly when this is finite
//    24      4  generation    how often an entry has left this slot
//    28      1  policy byte   the policy's own: the queue that the entry is in, where there are several
//    29      3  spare
//    32     32  key           its bytes, padded with zeros; or its address in the arena when longer
//
// Hash and key word together are one u64, the entry's signature. A look-up compares it in one step with
// that of the current key, and since the live and hidden bits are part of it, a free slot or a hidden
// entry costs no test of its own. In a free slot the key's first word names the next free one.

import { AUTHORITY_BYTES, authorityAt, RECORD_BYTES, recordsAt } from './layout'

/** No slot; as a list node it is the head of the first list (list.ts). */
export const NONE: u32 = 0xffff_ffff

/** One byte for each character, all of them below 256. */
export const LATIN1: u32 = 0
/** UTF-16, little endian; at least one character is above 255. */
export const TWO_BYTE: u32 = 1
/** A safe integer as f64. */
export const INTEGER: u32 = 2

export const INLINE_KEY_BYTES: u32 = 32

const LENGTH_MASK: u32 = 0x1_ffff
const ENCODING_SHIFT: u32 = 17
const HIDDEN: u32 = 1 << 19
const LIVE: u32 = 1 << 20

/** Compares signatures whole: a hidden entry is not found. */
export const VISIBLE: u64 = ~0
/** Compares signatures without the hidden bit. */
export const ANY: u64 = ~(u64(HIDDEN) << 32)

const KEY_WORD = 4
const FRESH_UNTIL = 8
const USABLE_UNTIL = 16
const GENERATION = 24
const POLICY_BYTE = 28
const KEY = 32

export function addressOf(slot: u32): usize {
  return recordsAt + usize(slot) * RECORD_BYTES
}

export function keyWord(length: u32, encoding: u32): u32 {
  return length | (encoding << ENCODING_SHIFT) | LIVE
}

export function signature(hash: u32, word: u32): u64 {
  return (u64(word) << 32) | u64(hash)
}

export function wordOf(sign: u64): u32 {
  return u32(sign >> 32)
}

export function lengthIn(word: u32): u32 {
  return word & LENGTH_MASK
}

export function encodingIn(word: u32): u32 {
  return (word >> ENCODING_SHIFT) & 3
}

/** Only two-byte text takes two bytes per unit of length, and only its encoding is odd. */
export function bytesIn(word: u32): u32 {
  return (word & LENGTH_MASK) << ((word >> ENCODING_SHIFT) & 1)
}

export function signatureOf(slot: u32): u64 {
  return load<u64>(addressOf(slot))
}

export function setSignature(slot: u32, sign: u64): void {
  store<u64>(addressOf(slot), sign)
}

export function hashOf(slot: u32): u32 {
  return load<u32>(addressOf(slot))
}

export function keyWordOf(slot: u32): u32 {
  return load<u32>(addressOf(slot), KEY_WORD)
}

export function isLive(slot: u32): bool {
  return (keyWordOf(slot) & LIVE) != 0
}

export function isHidden(slot: u32): bool {
  return (keyWordOf(slot) & HIDDEN) != 0
}

/** Whether it is live and not hidden, in one comparison. */
export function isVisible(slot: u32): bool {
  return (keyWordOf(slot) & (LIVE | HIDDEN)) == LIVE
}

export function hide(slot: u32): void {
  store<u32>(addressOf(slot), keyWordOf(slot) | HIDDEN, KEY_WORD)
}

/** Marks the slot free, and its old handles invalid. */
export function retire(slot: u32): void {
  store<u32>(addressOf(slot), 0, KEY_WORD)
  renew(slot)
}

/** Makes handles to what the slot held invalid. */
export function renew(slot: u32): void {
  store<u32>(addressOf(slot), generationOf(slot) + 1, GENERATION)
}

export function generationOf(slot: u32): u32 {
  return load<u32>(addressOf(slot), GENERATION)
}

export function freshUntilOf(slot: u32): f64 {
  return load<f64>(addressOf(slot), FRESH_UNTIL)
}

export function usableUntilOf(slot: u32): f64 {
  return load<f64>(addressOf(slot), USABLE_UNTIL)
}

export function setDeadlines(slot: u32, freshUntil: f64, usableUntil: f64): void {
  store<f64>(addressOf(slot), freshUntil, FRESH_UNTIL)
  store<f64>(addressOf(slot), usableUntil, USABLE_UNTIL)
}

export function policyByteOf(slot: u32): u32 {
  return load<u8>(addressOf(slot), POLICY_BYTE)
}

export function setPolicyByte(slot: u32, value: u32): void {
  store<u8>(addressOf(slot), u8(value), POLICY_BYTE)
}

/** Where the record itself keeps key bytes. */
export function inlineKeyAt(slot: u32): usize {
  return addressOf(slot) + KEY
}

/** The arena address of a long key; the next free slot, plus one, in a free record. */
export function keyReferenceOf(slot: u32): u32 {
  return load<u32>(addressOf(slot), KEY)
}

export function setKeyReference(slot: u32, reference: u32): void {
  store<u64>(addressOf(slot), reference, KEY)
}

/** Where the key's bytes are, in the record or in the arena. */
export function keyAt(slot: u32): usize {
  return bytesIn(keyWordOf(slot)) <= INLINE_KEY_BYTES ? inlineKeyAt(slot) : usize(keyReferenceOf(slot))
}

/** The entry's stamp: partition u32, epoch u32, asOf f64, tag sequence f64. */
export function stampAt(slot: u32): usize {
  return authorityAt + usize(slot) * AUTHORITY_BYTES
}
