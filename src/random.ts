// Randomness as a parameter, so that a run can be repeated from a seed.

/** Where random numbers come from. */
export interface Random {
  /** `count` bytes that nobody can guess; hash seeds and origin names are made of them. */
  bytes(count: number): Uint8Array

  /** A number from 0 (included) to 1 (excluded), for jitter and sampling. */
  next(): number
}

/** The randomness of the machine: Web Crypto for bytes, `Math.random` for the rest. */
export const systemRandom: Random = {
  bytes: (count) => crypto.getRandomValues(new Uint8Array(count)),
  next: () => Math.random(),
}

/** A name that nobody else has: 16 hexadecimal digits. */
export function randomId(random: Random): string {
  return Array.from(random.bytes(8), (byte) => byte.toString(16).padStart(2, '0')).join('')
}
