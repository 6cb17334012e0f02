// A process that has a file tier and a file bus over one directory, and does what its parent says.
//
// argv: the folder of the sources, the directory. A request is { id, part, method, args }; the answer has
// its id, and `value` or `error`. What the bus tells comes as { event, … } with the time it came.

const [source, directory] = process.argv.slice(2)
const { fileTier } = await import(`${source}/tiers/file.js`)
const { fileBus } = await import(`${source}/bus/file.js`)

const tier = fileTier({ directory })
const bus = fileBus({ directory })
const tell = (/** @type {object} */ message) => process.send?.(message)

const listener = {
  onMessage: (/** @type {object} */ message) => tell({ event: 'message', message }),
  onEcho: (/** @type {string} */ token) => tell({ event: 'echo', token }),
  onGap: (/** @type {unknown} */ _partition, /** @type {object} */ stamps) => tell({ event: 'gap', stamps }),
  onFailure: (/** @type {unknown} */ error) => tell({ event: 'failure', error: String(error) }),
}

const text = new TextDecoder()

/** @type {Record<string, (...args: any[]) => unknown>} */
const races = {
  async increment(key, rounds) {
    for (let round = 0; round < rounds; round++) await tier.increment(key, 1, 0)
  },
  async add(prefix, rounds) {
    let stored = 0
    for (let round = 0; round < rounds; round++) {
      const bytes = new TextEncoder().encode(`${process.pid}`)
      if (await tier.add({ key: `${prefix}${round}`, bytes, remainingMs: Infinity })) stored++
    }
    return stored
  },
  async compareAndSet(key, rounds) {
    for (let done = 0; done < rounds; ) {
      const found = await tier.get(key)
      const next = String(Number(text.decode(found?.bytes)) + 1)
      const write = { key, bytes: new TextEncoder().encode(next), remainingMs: Infinity }
      if (await tier.compareAndSet(write, found?.bytes)) done++
    }
  },
  async set(key, rounds, id) {
    for (let round = 1; round <= rounds; round++) {
      const bytes = new TextEncoder().encode(`${round}`)
      await tier.ledger?.commit({ op: 'set', key, bytes, remainingMs: Infinity }, { id, serial: round })
    }
  },
  /** One entry written over again and again, by values of one byte each and of two lengths. */
  async overwrite(key, rounds) {
    for (let round = 1; round <= rounds; round++) {
      const bytes = new Uint8Array(round % 2 === 0 ? 3_500 : 1_500).fill(round % 256)
      await tier.set({ key, bytes, remainingMs: Infinity })
    }
  },
  async commit(key, rounds, id) {
    for (let round = 1; round <= rounds; round++) {
      await tier.ledger?.commit({ op: 'delete', key: `${key}${round}` }, { id, serial: round })
    }
  },
}

/** @type {Record<string, any>} */
const parts = { tier, ledger: tier.ledger, bus: { subscribe: () => bus.subscribe(listener) }, races }

process.on('message', async (/** @type {any} */ { id, part, method, args }) => {
  try {
    tell({ id, value: await parts[part][method](...args) })
  } catch (error) {
    tell({ id, error: String(error) })
  }
})
tell({ event: 'ready' })
