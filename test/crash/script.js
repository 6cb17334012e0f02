// 200 operations on a file tier, the same in every run, and what each key holds after each of them.
// argv: the built file tier, the directory. A file system call on `marker` says where the operations begin.
//
// Every file system call of an entry is synchronous and made by the main thread, so the n-th change of the directory in
// one run is the n-th in every other.

import { lstatSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** What is looked for, in vain, before the first operation. */
export const marker = 'the-operations-begin'
export const operations = 200
export const keys = Array.from({ length: 12 }, (_, at) => `key:${at}`)
const sizes = [0, 1_000, 10, 70_000]

/**
 * The operation with a number, from 0 on.
 *
 * @param {number} number
 * @returns {{ op: 'set' | 'add' | 'delete' | 'increment' | 'commit' | 'remove' | 'clear', key: string, text: string }}
 */
function operationOf(number) {
  const key = /** @type {string} */ (keys[(number * 7) % keys.length])
  // A key has another size in each round, so that files shrink and grow.
  const size = /** @type {number} */ (sizes[(number + Math.floor(number / keys.length)) % sizes.length])
  const text = `${number}:`.padEnd(size, 'x')
  if (number % 50 === 49) return { op: 'clear', key: '', text: '' }
  if (key === 'key:0') return { op: number % 36 === 0 ? 'set' : 'increment', key, text: '0' }
  if (number % 9 === 5) return { op: 'delete', key, text: '' }
  if (number % 9 === 7) return { op: 'remove', key, text: '' }
  if (number % 5 === 3) return { op: 'add', key, text }
  return { op: number % 2 === 0 ? 'set' : 'commit', key, text }
}

/**
 * What each key holds before any operation, and after each of them.
 *
 * @returns {Map<string, string>[]}
 */
export function states() {
  /** @type {Map<string, string>[]} */
  const all = [new Map()]
  for (let number = 0; number < operations; number++) {
    const { op, key, text } = operationOf(number)
    const next = new Map(all[number])
    if (op === 'clear') next.clear()
    else if (op === 'delete' || op === 'remove') next.delete(key)
    else if (op === 'increment') {
      if (next.has(key)) next.set(key, String(Number(next.get(key)) + 1))
    } else if (op !== 'add' || !next.has(key)) next.set(key, text)
    all.push(next)
  }
  return all
}

async function main() {
  const [built, directory] = process.argv.slice(2)
  const { fileTier } = await import(/** @type {string} */ (built))
  let drawn = 0
  // The names of files are drawn, and with them which directories have to be made.
  const random = {
    /** @param {number} count */
    bytes: (count) => Uint8Array.from({ length: count }, () => (drawn = (drawn * 131 + 7) % 251)),
    next: () => 0.5,
  }
  const tier = fileTier({ directory, logBytes: 4_096, random })
  const id = '0123456789abcdef'
  lstatSync(`${directory}-${marker}`, { throwIfNoEntry: false })
  for (let number = 0; number < operations; number++) {
    const { op, key, text } = operationOf(number)
    const entry = { key, bytes: Buffer.from(text), remainingMs: Number.POSITIVE_INFINITY }
    const origin = { id, serial: number + 1 }
    if (op === 'set') await tier.set(entry)
    else if (op === 'add') await tier.add(entry)
    else if (op === 'delete') await tier.delete(key)
    else if (op === 'increment') await tier.increment(key, 1, 0)
    else if (op === 'commit') await tier.ledger.commit({ op: 'set', ...entry }, origin)
    else if (op === 'remove') await tier.ledger.commit({ op: 'delete', key }, origin)
    else await tier.ledger.commit({ op: 'clear', prefix: '' }, origin)
  }
  await tier.close()
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main()
