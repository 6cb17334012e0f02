// Comparing stored bytes, as `Tier.compareAndSet` promises it.

interface Holder {
  readonly bytes: Uint8Array
}

/** Whether an entry has exactly these bytes; `undefined`: whether there is none. */
export function isExpected(found: Holder | undefined, expected: Uint8Array | undefined): boolean {
  if (found === undefined || expected === undefined) return found === expected
  const { bytes } = found
  return bytes.length === expected.length && bytes.every((byte, at) => byte === expected[at])
}
