// SHA-256 (FIPS 180-4), synchronous and on every runtime. Long URLs and long lists of varying fields become keys by
// it: whoever could make two of them collide could have one visitor's page given to another, so a checksum will not do,
// and Web Crypto answers later than a hit from L1 may wait. Vectors: test/unit/http/digest.test.ts.

const encoder = new TextEncoder()
let roundConstants: Uint32Array | undefined

/** The digest of the UTF-8 of `text`, or of bytes, as 64 hexadecimal digits. */
export function sha256(input: string | Uint8Array): string {
  const bytes = typeof input === 'string' ? encoder.encode(input) : input
  roundConstants ??= makeRoundConstants()
  const padded = new Uint8Array((((bytes.length + 8) >> 6) + 1) << 6)
  padded.set(bytes)
  padded[bytes.length] = 0x80
  const view = new DataView(padded.buffer)
  view.setUint32(padded.length - 8, Math.floor(bytes.length / 2 ** 29))
  view.setUint32(padded.length - 4, (bytes.length << 3) >>> 0)

  const hash = new Uint32Array([
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  ])
  const words = new Uint32Array(64)
  for (let at = 0; at < padded.length; at += 64) {
    for (let turn = 0; turn < 16; turn++) words[turn] = view.getUint32(at + turn * 4)
    for (let turn = 16; turn < 64; turn++) {
      const [w15, w2] = [words[turn - 15] as number, words[turn - 2] as number]
      const s0 = rotated(w15, 7) ^ rotated(w15, 18) ^ (w15 >>> 3)
      const s1 = rotated(w2, 17) ^ rotated(w2, 19) ^ (w2 >>> 10)
      words[turn] = (words[turn - 16] as number) + s0 + (words[turn - 7] as number) + s1
    }
    mix(hash, words, roundConstants)
  }
  return Array.from(hash, (word) => word.toString(16).padStart(8, '0')).join('')
}

function mix(hash: Uint32Array, words: Uint32Array, constants: Uint32Array): void {
  let [a, b, c, d, e, f, g, h] = hash as unknown as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ]
  for (let turn = 0; turn < 64; turn++) {
    const s1 = rotated(e, 6) ^ rotated(e, 11) ^ rotated(e, 25)
    const choice = (e & f) ^ (~e & g)
    const first = (h + s1 + choice + (constants[turn] as number) + (words[turn] as number)) | 0
    const s0 = rotated(a, 2) ^ rotated(a, 13) ^ rotated(a, 22)
    const majority = (a & b) ^ (a & c) ^ (b & c)
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + s0 + majority) | 0
  }
  for (const [turn, word] of [a, b, c, d, e, f, g, h].entries()) hash[turn] = (hash[turn] as number) + word
}

function rotated(word: number, bits: number): number {
  return (word >>> bits) | (word << (32 - bits))
}

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
function makeRoundConstants(): Uint32Array {
  const constants = new Uint32Array(64)
  let found = 0
  for (let candidate = 2; found < 64; candidate++) {
    let isPrime = true
    for (let divisor = 2; divisor * divisor <= candidate; divisor++) {
      if (candidate % divisor === 0) isPrime = false
    }
    if (isPrime) constants[found++] = Math.floor((Math.cbrt(candidate) % 1) * 2 ** 32)
  }
  return constants
}
