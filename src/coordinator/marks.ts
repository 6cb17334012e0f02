// What is under way in this process, per key: the pending marks of mutations, the fences of loads, and
// the order in which this process writes.
//
// A mark exists only while something is under way, so memory follows concurrency, not keys. It answers
// three questions:
//
//   may a read use copies?     not while a mutation of the key is pending: it waits for that
//   may a load be kept?        only if nothing overtook it since it began: no mutation here, no message
//                              from elsewhere, no gap (the fence; contracts: 1), and nothing that began
//                              later was given out meanwhile without being kept
//   whose write is next?       writes of one key go to the tiers one after another, in the order in
//                              which they were called, and a clear goes alone among its keys; without that, two writes
//                              in flight could land in one tier in one order and in another in the other

import { KeyTable } from './key-table.ts'

/** A look's claim that nothing overtook it. */
export interface Fence {
  readonly key: string
  readonly generation: number
  readonly sweep: number
  /** Its place among the looks of this process; once its loader has begun, the place of that. */
  readonly place: number
  /** The mutations of the key before that. */
  readonly mutations: number
}

/** A place in the order of writes. */
export interface Turn {
  /** Resolves when everything that was called before has been written; `undefined` when that is now. */
  readonly ready: Promise<unknown> | undefined
  /** Whether anything overtook this write since it was called. */
  isLatest(): boolean
  /** Ends the turn; call it once, whatever happened. */
  end(): void
}

interface Mark {
  /** Mutations called and not settled. */
  pending: number
  /** Fences and turns that still need this mark. */
  holders: number
  /** Raised by everything that overtakes. */
  generation: number
  /** Raised by what begins here and is newer than any load under way. */
  mutations: number
  /** A value was given out whose look has this place, and is not kept. */
  surpassed: number
  /** The last write that was called; `undefined` when all are done. */
  tail: Promise<void> | undefined
}

/** Pending mutations, fences and the order of writes of one cache in one process. */
export class Marks {
  readonly #marks = new KeyTable<Mark>()
  /** Raised by what overtakes every key: gaps. */
  #sweep = 0
  /** Looks that have begun. */
  #looks = 0
  /** Clears that have not settled, in the order in which they were called. */
  readonly #clears = new Set<{ readonly prefix: string; readonly settled: Promise<void> }>()

  /** Number of keys with something under way. */
  get size(): number {
    return this.#marks.size
  }

  /**
   * Resolves when the mutations of `keys` that are pending now have settled; `undefined` when none is.
   *
   * Ask again afterwards, and begin to read in the same turn in which the answer is `undefined`: whatever is
   * awaited in between lets another mutation be called.
   */
  pendingOn(keys: readonly string[]): Promise<unknown> | undefined {
    const tails: Promise<void>[] = []
    for (const key of keys) {
      const mark = this.#marks.get(key)
      if (mark !== undefined && mark.pending > 0 && mark.tail !== undefined) tails.push(mark.tail)
    }
    for (const { prefix, settled } of this.#clears) {
      if (keys.some((key) => key.startsWith(prefix))) tails.push(settled)
    }
    return tails.length === 0 ? undefined : Promise.all(tails)
  }

  /** Begins a look. `drop` must follow. */
  watch(key: string): Fence {
    const { generation, mutations } = this.#hold(key)
    return { key, generation, sweep: this.#sweep, place: ++this.#looks, mutations }
  }

  /** The same look, which went by what overtook it. */
  renewed(fence: Fence): Fence {
    const { generation } = this.#marks.get(fence.key) ?? fence
    return { ...fence, generation, sweep: this.#sweep }
  }

  /** The same look, whose loader begins now: what that brings is as new as this. */
  loading(fence: Fence): Fence {
    const { mutations } = this.#marks.get(fence.key) ?? fence
    return { ...fence, place: ++this.#looks, mutations }
  }

  /** Whether what was found or loaded behind `fence` may still be kept. */
  holds(fence: Fence): boolean {
    const mark = this.#marks.get(fence.key)
    if (mark === undefined || mark.surpassed > fence.place) return false
    return mark.generation === fence.generation && this.#sweep === fence.sweep
  }

  /** Whether something newer than what was looked for behind `fence` began here, or was given out. */
  isPast({ key, mutations, place }: Fence): boolean {
    const mark = this.#marks.get(key)
    return mark !== undefined && (mark.mutations > mutations || mark.surpassed > place)
  }

  /** What was loaded behind `fence` is given out and is not kept: nothing older may be kept after it. */
  surpass({ key, place }: Fence): void {
    const mark = this.#marks.get(key)
    if (mark !== undefined) mark.surpassed = Math.max(mark.surpassed, place)
  }

  /** Ends a look. */
  drop(fence: Fence): void {
    this.#release(fence.key)
  }

  /** Something newer than any load of `key` under way exists. */
  overtake(key: string): void {
    const mark = this.#marks.get(key)
    if (mark !== undefined) mark.generation++
  }

  /** The same, and it began here: whatever is under way is older than what comes of it. */
  supersede(key: string): void {
    const mark = this.#marks.get(key)
    if (mark === undefined) return
    mark.generation++
    mark.mutations++
  }

  /** Something newer than any load under way may exist, for any key. */
  overtakeAll(): void {
    this.#sweep++
  }

  /** The same, for keys that begin with `prefix`. */
  overtakeUnder(prefix: string): void {
    for (const [key, mark] of this.#marks.entries()) if (key.startsWith(prefix)) mark.generation++
  }

  /** Takes the next place in the writes of `key`, for a mutation: reads wait for it, loads are overtaken. */
  mutate(key: string): Turn {
    const mark = this.#hold(key)
    mark.pending++
    mark.generation++
    mark.mutations++
    return this.#turn(key, mark, () => {
      mark.pending--
    })
  }

  /** Takes the next place in the writes of `key`, for copies of what is stored or loaded anyway. */
  copy(key: string): Turn {
    return this.#turn(key, this.#hold(key), () => {})
  }

  /** Takes the next place for a mutation of every key that begins with `prefix`. */
  clear(prefix: string): Pick<Turn, 'ready' | 'end'> {
    const before: Promise<void>[] = []
    for (const [key, mark] of this.#marks.entries()) {
      if (!key.startsWith(prefix)) continue
      if (mark.tail !== undefined) before.push(mark.tail)
      mark.generation++
      mark.mutations++
    }
    for (const other of this.#clears) {
      if (other.prefix.startsWith(prefix) || prefix.startsWith(other.prefix)) before.push(other.settled)
    }
    const { promise, resolve } = latch()
    const clear = { prefix, settled: promise }
    this.#clears.add(clear)
    return {
      ready: before.length === 0 ? undefined : Promise.all(before),
      end: () => {
        this.#clears.delete(clear)
        resolve()
      },
    }
  }

  #turn(key: string, mark: Mark, settle: () => void): Turn {
    const generation = mark.generation
    const sweep = this.#sweep
    const before = mark.tail === undefined ? [] : [mark.tail]
    for (const clear of this.#clears) if (key.startsWith(clear.prefix)) before.push(clear.settled)
    const ready = before.length === 0 ? undefined : Promise.all(before)
    const { promise, resolve } = latch()
    mark.tail = promise
    return {
      ready,
      isLatest: () => mark.generation === generation && this.#sweep === sweep,
      end: () => {
        settle()
        if (mark.tail === promise) mark.tail = undefined
        this.#release(key)
        resolve()
      },
    }
  }

  #hold(key: string): Mark {
    const held = this.#marks.get(key)
    if (held !== undefined) {
      held.holders++
      return held
    }
    const mark: Mark = { pending: 0, holders: 1, generation: 0, mutations: 0, surpassed: 0, tail: undefined }
    this.#marks.set(key, mark)
    return mark
  }

  #release(key: string): void {
    const mark = this.#marks.get(key)
    if (mark !== undefined && --mark.holders === 0) this.#marks.delete(key)
  }
}

/** A promise and the function that resolves it (`Promise.withResolvers` begins with Node 22). */
function latch(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((settle) => {
    resolve = settle
  })
  return { promise, resolve }
}
