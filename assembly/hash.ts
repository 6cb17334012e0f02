// wyhash, final version 4: a fast hash of a span of bytes, keyed by a seed and four secrets.
//
// Source: https://github.com/wangyi-fudan/wyhash (wyhash.h, public domain), in its little-endian form
// with WYHASH_CONDOM 1. Seed and secrets are random for each cache, so that nobody outside can choose
// keys that collide. The seed's first mixing depends on nothing else and is done once at creation: that
// saves one multiplication in four for a key of thirty bytes. The published vectors (seeds 0 to 6 with
// the default secret, for "", "a", "abc", …) are checked in test/core/hash.test.ts.

import { MIXED_SEEDS_AT, SEED_AT } from './layout'

export const SECRET_AT: u32 = SEED_AT + 8

/** The constants of the source's `wyrand`. */
const WYRAND_STEP: u64 = 0xa076_1d64_78bd_642f
const WYRAND_MIX: u64 = 0xe703_7ed1_a0b4_28db

/** The low half of the 128-bit product, XOR the high half. WebAssembly has no wide multiplication. */
function mix(left: u64, right: u64): u64 {
  const leftHigh = left >> 32
  const leftLow = left & 0xffff_ffff
  const rightHigh = right >> 32
  const rightLow = right & 0xffff_ffff
  const high = leftHigh * rightHigh
  const cross1 = leftHigh * rightLow
  const cross2 = leftLow * rightHigh
  const low = leftLow * rightLow
  const middle = (low >> 32) + (cross1 & 0xffff_ffff) + cross2
  return (left * right) ^ (high + (cross1 >> 32) + (middle >> 32))
}

/** The high half of the 128-bit product. */
function multiplyHigh(left: u64, right: u64): u64 {
  const leftHigh = left >> 32
  const leftLow = left & 0xffff_ffff
  const rightHigh = right >> 32
  const rightLow = right & 0xffff_ffff
  const cross1 = leftHigh * rightLow
  const middle = ((leftLow * rightLow) >> 32) + (cross1 & 0xffff_ffff) + leftLow * rightHigh
  return leftHigh * rightHigh + (cross1 >> 32) + (middle >> 32)
}

/** The last two multiplications, which every length ends with. */
export function finish(a: u64, b: u64, mixedSeed: u64, bytes: u64): u64 {
  const secret0 = load<u64>(SECRET_AT)
  const secret1 = load<u64>(SECRET_AT, 8)
  const left = a ^ secret1
  const right = b ^ mixedSeed
  return mix((left * right) ^ secret0 ^ bytes, multiplyHigh(left, right) ^ secret1)
}

export function mixSeed(seed: u64): u64 {
  return seed ^ mix(seed ^ load<u64>(SECRET_AT), load<u64>(SECRET_AT, 8))
}

/** The hash of `bytes` bytes at `at`, under a seed that `mixSeed` has prepared. */
export function hashBytes(at: usize, bytes: u32, mixedSeed: u64): u64 {
  if (bytes > 16) return hashLong(at, bytes, mixedSeed)
  let a: u64 = 0
  let b: u64 = 0
  if (bytes >= 4) {
    const middle = (bytes >> 3) << 2
    const last = at + bytes - 4
    a = (u64(load<u32>(at)) << 32) | u64(load<u32>(at + middle))
    b = (u64(load<u32>(last)) << 32) | u64(load<u32>(last - middle))
  } else if (bytes > 0) {
    a = (u64(load<u8>(at)) << 16) | (u64(load<u8>(at + (bytes >> 1))) << 8) | u64(load<u8>(at + bytes - 1))
  }
  return finish(a, b, mixedSeed, bytes)
}

function hashLong(at: usize, bytes: u32, mixedSeed: u64): u64 {
  const secret1 = load<u64>(SECRET_AT, 8)
  let seed = mixedSeed
  let left = bytes
  if (left >= 48) {
    const secret2 = load<u64>(SECRET_AT, 16)
    const secret3 = load<u64>(SECRET_AT, 24)
    let seed1 = seed
    let seed2 = seed
    do {
      seed = mix(load<u64>(at) ^ secret1, load<u64>(at, 8) ^ seed)
      seed1 = mix(load<u64>(at, 16) ^ secret2, load<u64>(at, 24) ^ seed1)
      seed2 = mix(load<u64>(at, 32) ^ secret3, load<u64>(at, 40) ^ seed2)
      at += 48
      left -= 48
    } while (left >= 48)
    seed ^= seed1 ^ seed2
  }
  while (left > 16) {
    seed = mix(load<u64>(at) ^ secret1, load<u64>(at, 8) ^ seed)
    at += 16
    left -= 16
  }
  return finish(load<u64>(at + left - 16), load<u64>(at + left - 8), seed, bytes)
}

/**
 * The hash of one word, for integers: xor-shifts around two multiplications, as in the finalizer of MurmurHash3,
 * but by this cache's secrets instead of constants. Half the work of `hashBytes`, which folds twice.
 */
export function hashWord(word: u64, mixedSeed: u64): u32 {
  let hash = word ^ mixedSeed
  hash = (hash ^ (hash >> 32)) * load<u64>(SECRET_AT)
  hash = (hash ^ (hash >> 32)) * load<u64>(SECRET_AT, 8)
  return u32(hash >> 32)
}

/** The prepared seed for keys of one encoding, so that `7` and `'7'` need not share a bucket. */
export function seedFor(encoding: u32): u64 {
  return load<u64>(MIXED_SEEDS_AT + encoding * 8)
}

/**
 * Turns the host's random bytes into secrets of the quality wyhash asks for and mixes the seeds.
 *
 * As `make_secret` of the source: odd, four bits set in each byte, and any two secrets differ in exactly
 * 32 bits. Primality is left out; it costs more than creating the cache and the source makes it optional.
 */
export function prepareSeeds(): void {
  for (let index: u32 = 0; index < 4; ++index) {
    const at = SECRET_AT + index * 8
    let state = load<u64>(at)
    do {
      state += WYRAND_STEP
      store<u64>(at, balanced(state))
    } while (!isGood(index))
  }
  const seed = load<u64>(SEED_AT)
  for (let encoding: u32 = 0; encoding < 3; ++encoding) {
    store<u64>(MIXED_SEEDS_AT + encoding * 8, mixSeed(seed ^ u64(encoding)))
  }
}

/** A number with four bits set in each byte, drawn from `state` by the source's `wyrand`. */
function balanced(state: u64): u64 {
  let result: u64 = 0
  let filled: u64 = 0
  while (filled < 64) {
    state += WYRAND_STEP
    let random = mix(state, state ^ WYRAND_MIX)
    for (let byte = 0; byte < 8 && filled < 64; ++byte) {
      if (popcnt(random & 255) == 4) {
        result |= (random & 255) << filled
        filled += 8
      }
      random >>= 8
    }
  }
  return result
}

function isGood(index: u32): bool {
  const secret = load<u64>(SECRET_AT + index * 8)
  if (!(secret & 1)) return false
  for (let earlier: u32 = 0; earlier < index; ++earlier) {
    if (popcnt(secret ^ load<u64>(SECRET_AT + earlier * 8)) != 32) return false
  }
  return true
}
