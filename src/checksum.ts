// CRC-32C (Castagnoli), four bytes a step by table. It finds damage, not malice: every burst up to 32
// bits and, at the lengths stored here, every change of up to five bits.
//
// Source: RFC 3720 appendix B.4 (vectors: test/unit/checksum.test.ts); slicing by four after Kounavis
// and Berry, 2008. The tables (4 KiB) are made at the first call, not at import.

let tables: Uint32Array[] | undefined

function makeTables(): Uint32Array[] {
  const made = [
    new Uint32Array(256),
    new Uint32Array(256),
    new Uint32Array(256),
    new Uint32Array(256),
  ] as const
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = (remainder >>> 1) ^ (remainder & 1 ? 0x82f63b78 : 0)
    made[0][byte] = remainder
  }
  for (let slice = 1; slice < 4; slice++) {
    for (let byte = 0; byte < 256; byte++) {
      const previous = made[slice - 1]?.[byte] ?? 0
      const table = made[slice]
      if (table !== undefined) table[byte] = (previous >>> 8) ^ (made[0][previous & 0xff] ?? 0)
    }
  }
  return [...made]
}

/** The CRC-32C of `bytes` from `start` to `end`, as an unsigned 32-bit number. */
export function crc32c(bytes: Uint8Array, start = 0, end: number = bytes.length): number {
  tables ??= makeTables()
  const [t0, t1, t2, t3] = tables as [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
  let crc = 0xffffffff
  let at = start
  for (; at + 4 <= end; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)
    crc =
      (t3[crc & 0xff] as number) ^
      (t2[(crc >>> 8) & 0xff] as number) ^
      (t1[(crc >>> 16) & 0xff] as number) ^
      (t0[crc >>> 24] as number)
  }
  for (; at < end; at++) crc = (crc >>> 8) ^ (t0[(crc ^ (bytes[at] as number)) & 0xff] as number)
  return ~crc >>> 0
}
