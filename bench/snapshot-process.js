// @ts-check
/** One half of `bench snapshot`, in a process of its own: builds and saves, or restores. Answers with a line of JSON. */
import { performance } from 'node:perf_hooks'

/** @typedef {import('./snapshot.js').Figure} Figure */

// In variables, so that types can be checked before there is such a package.
const l1Entry = 'tierwheel/l1'
const fileEntry = 'tierwheel/snapshot/file'
/** @type {typeof import('../src/create-l1.ts')} */
const { createL1 } = await import(l1Entry)
/** @type {typeof import('../src/snapshot/file.ts')} */
const { saveSnapshot, snapshotFile } = await import(fileEntry)

const { step, path, entries } = /** @type {{ step: string, path: string, entries: number }} */ (
  JSON.parse(process.argv[2] ?? '')
)

/** @type {Figure[]} */
const figures = []
const keyOf = (/** @type {number} */ id) => `tenant:eu:user:${1_000_000 + id}:session`
const textOf = (/** @type {number} */ id) => String(id).padStart(100, 'value ')

if (step === 'restore') {
  const l1 = await timed('restore', async () => {
    /** @type {import('../src/create-l1.ts').L1<string>} */
    const restored = createL1({ maxEntries: entries, restore: snapshotFile(path) })
    const { status } = await restored.restored
    if (status !== 'restored') throw new Error(status)
    return restored
  })
  for (let id = 0; id < entries; id += 997) {
    if (l1.peek(keyOf(id)) !== textOf(id)) throw new Error(`entry ${id} is another`)
  }
} else {
  const l1 = await timed('by set', async () => {
    /** @type {import('../src/create-l1.ts').L1<string>} */
    const built = createL1({ maxEntries: entries })
    for (let id = 0; id < entries; id++) built.set(keyOf(id), textOf(id))
    return built
  })
  await timed('save', async () => {
    await saveSnapshot(l1, path)
    return l1
  })
}
console.log(JSON.stringify(figures))

/**
 * @template {{ size: number }} T
 * @param {string} name
 * @param {() => Promise<T>} work
 * @returns {Promise<T>}
 */
async function timed(name, work) {
  globalThis.gc?.()
  let holdMs = 0
  let last = performance.now()
  const timer = setInterval(() => {
    const now = performance.now()
    holdMs = Math.max(holdMs, now - last - 1)
    last = now
  }, 1)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const result = await work()
  const wallMs = performance.now() - startedAt
  const { user, system } = process.cpuUsage(cpuBefore)
  clearInterval(timer)
  figures.push({ step: name, wallMs, cpuMs: (user + system) / 1_000, holdMs, entries: result.size })
  return result
}
