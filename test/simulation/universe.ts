// Virtual time: one queue of what happens when, and processes that live by it. A process can be stopped, and then
// everything of its own happens late, and its clock has gone on; it can be killed, and then nothing of it happens.

import { type Clock, LONGEST_DELAY_MS, type Timer } from '../../src/clock.ts'

interface Happening {
  at: number
  readonly order: number
  readonly of: Life | undefined
  run: (() => void) | undefined
}

/** What stands still and ends: a process, as far as time is concerned. */
export class Life implements Clock {
  readonly #universe: Universe
  /** Its clock is off by this against every other's. */
  readonly #offsetMs: number
  /** And so is its machine's, which all processes there have, one after the other. */
  readonly #wallOffsetMs: number
  stoppedUntil = 0
  isDead = false

  constructor(universe: Universe, offsetMs: number, wallOffsetMs: number) {
    this.#universe = universe
    this.#offsetMs = offsetMs
    this.#wallOffsetMs = wallOffsetMs
  }

  now(): number {
    return this.#universe.now + this.#offsetMs
  }

  wallNow(): number {
    return 1_700_000_000_000 + this.#universe.now + this.#wallOffsetMs
  }

  setTimer(run: () => void, delayMs: number): Timer {
    return this.after(Math.min(Math.max(delayMs, 0), LONGEST_DELAY_MS), run)
  }

  /** Has something happen to this process; later if it is stopped then, never if it is dead. */
  after(delayMs: number, run: () => void): Timer {
    return this.#universe.at(this.#universe.now + delayMs, run, this)
  }
}

/** The queue. */
export class Universe {
  now = 0
  #order = 0
  /** A heap: each is before the two at twice its place. */
  readonly #heap: Happening[] = []

  at(at: number, run: () => void, of?: Life): Timer {
    const happening: Happening = { at, order: this.#order++, of, run }
    this.#push(happening)
    return {
      cancel: () => {
        happening.run = undefined
      },
    }
  }

  /** Lets time pass up to `until` or `isOver`, and after everything that happens all promises settle. */
  async pass(until: number, isOver: () => boolean = () => false): Promise<void> {
    await settled()
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#pop()
      const { of, run } = next
      if (run === undefined || of?.isDead) continue
      if (of !== undefined && of.stoppedUntil > next.at) {
        // The order is kept: what waited longest comes first when it goes on.
        next.at = of.stoppedUntil
        this.#push(next)
        continue
      }
      this.now = Math.max(this.now, next.at)
      run()
      await settled()
      if (isOver()) return
    }
    this.now = Math.max(this.now, until)
  }

  #push(happening: Happening): void {
    const heap = this.#heap
    let at = heap.length
    heap.push(happening)
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(happening, heap[above] as Happening)) break
      heap[at] = heap[above] as Happening
      at = above
    }
    heap[at] = happening
  }

  #pop(): void {
    const heap = this.#heap
    const last = heap.pop() as Happening
    if (heap.length === 0) return
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1] as Happening, heap[below] as Happening)) below++
      if (!isBefore(heap[below] as Happening, last)) break
      heap[at] = heap[below] as Happening
      at = below
    }
    heap[at] = last
  }
}

function isBefore(left: Happening, right: Happening): boolean {
  return left.at === right.at ? left.order < right.order : left.at < right.at
}

/** How many turns of the event loop are waited for, by whoever waits for one (src/clock.ts). */
let turns = 0
const beginTurn = globalThis.setImmediate

/**
 * Has turns of the event loop counted that are waited for: no time passes before they have come. Returns what ends that.
 */
export function countTurns(): () => void {
  const counted = (run: (...values: unknown[]) => void, ...values: unknown[]): NodeJS.Immediate => {
    turns++
    return beginTurn(() => {
      turns--
      run(...values)
    })
  }
  globalThis.setImmediate = counted as typeof setImmediate
  return () => {
    globalThis.setImmediate = beginTurn
  }
}

/** Resolves when every promise that can settle has: Node comes to what waits for the next tick only then. */
function ticked(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve))
}

/**
 * Resolves when nothing goes on but by time. A turn of the event loop after everything that happens would do as well,
 * and costs more; it is taken where somebody waits for one.
 */
async function settled(): Promise<void> {
  await ticked()
  while (turns > 0) {
    await new Promise<void>((resolve) => void beginTurn(resolve))
    await ticked()
  }
}
