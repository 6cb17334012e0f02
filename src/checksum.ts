// CRC-32C (Castagnoli) and CRC-32 (as in zlib), eight bytes a step by table. They find damage, not malice: every burst up
// to 32 bits and, at the lengths stored here, every change of up to five bits, or of up to three by CRC-32.
//
// Source: RFC 3720 appendix B.4 (vectors: test/unit/checksum.test.ts); slicing by eight after Kounavis
// and Berry, 2008. The tables (8 KiB) are made at the first call, not at import. All eight lie in one array, one behind
// the other: a kilobyte takes 0.6 µs, against 0.7 µs with eight arrays and 1.9 µs with four bytes a step (Node 20).

const CASTAGNOLI = 0x82f63b78
const ZLIB = 0xedb88320
let castagnoliTables: Int32Array | undefined
let zlibTables: Int32Array | undefined

/** Behind each other: what a byte does to the remainder when 0, 1, … 7 bytes follow it. */
function makeTables(polynomial: number): Int32Array {
  const made = new Int32Array(8 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? polynomial : 0)
    made[byte] = remainder
  }
  for (let at = 256; at < made.length; at++) {
    const previous = made[at - 256] as number
    made[at] = (previous >>> 8) ^ (made[previous & 0xff] as number)
  }
  return made
}

/** The CRC-32C of `bytes` from `start` to `end`, as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  castagnoliTables ??= makeTables(CASTAGNOLI)
  return crcBy(castagnoliTables, bytes, start, end)
}

/** The CRC-32 of `bytes`, as an unsigned 32-bit number: what `crc32` of `node:zlib` says, for where there is none. */
export function crc32(bytes: Uint8Array): number {
  zlibTables ??= makeTables(ZLIB)
  return crcBy(zlibTables, bytes, 0, bytes.length)
}

function crcBy(table: Int32Array, bytes: Uint8Array, start: number, end: number): number {
  let crc = -1
  let at = start
  for (; at + 8 <= end; at += 8) {
    const first =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24))
    crc =
      (table[0x700 + (first & 0xff)] as number) ^
      (table[0x600 + ((first >>> 8) & 0xff)] as number) ^
      (table[0x500 + ((first >>> 16) & 0xff)] as number) ^
      (table[0x400 + (first >>> 24)] as number) ^
      (table[0x300 + (bytes[at + 4] as number)] as number) ^
      (table[0x200 + (bytes[at + 5] as number)] as number) ^
      (table[0x100 + (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number)
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return ~crc >>> 0
}
