// What becomes of stored bytes: each byte changed in every way that matters, the end cut off, a part written twice.

/** Every damaged form of `bytes`, named; the same array may come again with other contents. */
export function* damaged(bytes: Uint8Array): Generator<readonly [what: string, bytes: Uint8Array]> {
  for (let at = 0; at < bytes.length; at++) {
    const changed = Uint8Array.from(bytes)
    const original = bytes[at] as number
    for (const byte of [0x00, 0xff, ...Array.from({ length: 8 }, (_, bit) => original ^ (1 << bit))]) {
      if (byte === original) continue
      changed[at] = byte
      yield [`byte ${at} is ${byte} and not ${original}`, changed]
    }
    yield [`cut at ${at}`, bytes.subarray(0, at)]
    yield [`byte ${at} doubled`, Uint8Array.of(...bytes.subarray(0, at + 1), ...bytes.subarray(at))]
  }
  yield ['all of it twice', Uint8Array.of(...bytes, ...bytes)]
}
