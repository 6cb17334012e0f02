// The time that an L1 goes by, and who sees to it that entries expire which nobody asks for.
//
// Without a deadline in the cache no clock is read. With one, reads share a reading for `clockResolutionMs`, which
// a timer ends; a write with a ttl always reads the clock. A second timer sweeps. Time never goes back: a clock that
// does stands still here until it has caught up.

import type { Clock, Timer } from '../clock.ts'

/** What holds deadlines: the part of the core that expires them. */
export interface Wheel {
  /** Whether anything has a deadline. */
  readonly isTimed: boolean
  /** Expires what is due at `now`, up to `budget` entries. */
  advance(now: number, budget: number): void
  /** Whether something that is due at `now` is left. */
  isBehind(now: number): boolean
}

/** What a timekeeper is made of. */
export interface TimekeeperParts {
  readonly clock: Clock
  readonly clockResolutionMs: number
  /** Whether a timer that was started can be relied on to run. */
  readonly hasTimers: boolean
  readonly wheel: Wheel
  /** Called when a sweep may have removed something. */
  readonly onSwept: () => void
}

/** How many entries one turn of the sweep expires, so that it holds the event loop for well under 1 ms. */
const SWEEP_BUDGET = 256

/** The shortest time between two sweeps: one tick of the core's wheel. */
const SWEEP_MS = 128

/** An L1's clock and its timers. */
export class Timekeeper {
  readonly #clock: Clock
  readonly #clockResolutionMs: number
  readonly #wheel: Wheel
  readonly #onSwept: () => void
  #hasTimers: boolean
  /** Whether an entry may have a deadline. */
  #isTimed = false
  /** What reads pass for the time: 0 while nothing has a deadline, negative when the clock must be read. */
  #now = 0
  /** The latest time seen. */
  #latest = 0
  #resolutionTimer: Timer | undefined
  #sweepTimer: Timer | undefined
  #sweepAt = Infinity
  #deadlineSetAt = 0
  // Timers hold the cache by this, so a cache that everyone has forgotten is collected with its timers on.
  readonly #self: WeakRef<Timekeeper>

  constructor(parts: TimekeeperParts) {
    this.#clock = parts.clock
    this.#clockResolutionMs = parts.clockResolutionMs
    this.#hasTimers = parts.hasTimers
    this.#wheel = parts.wheel
    this.#onSwept = parts.onSwept
    this.#self = new WeakRef<Timekeeper>(this)
  }

  /** Whether an entry may have a deadline. */
  get isTimed(): boolean {
    return this.#isTimed
  }

  /** The latest time seen. */
  get latest(): number {
    return this.#latest
  }

  /** The time for operations that may use a shared reading. */
  shared(): number {
    return this.#now < 0 ? this.read() : this.#now
  }

  /** The time by a reading of its own, which others may share. */
  read(): number {
    const now = this.look()
    if (!this.#isTimed || this.#clockResolutionMs === 0) return now
    if (this.#resolutionTimer === undefined && this.#hasTimers) {
      this.#resolutionTimer = this.#startTimer(this.#clockResolutionMs, (time) => {
        time.#resolutionTimer = undefined
        time.#now = time.#isTimed ? -1 : 0
      })
    }
    if (this.#resolutionTimer !== undefined) this.#now = now
    return now
  }

  /** The time by a reading that is not shared: that would start a timer, and to be looked at is no work. */
  look(): number {
    return this.notBefore(this.#clock.now())
  }

  /** A time that a caller brings, or the latest seen if that is later. */
  notBefore(now: number): number {
    if (now <= this.#latest) return this.#latest
    this.#latest = now
    return now
  }

  /** An entry got a deadline at `now`: reads need the time, and someone must look after it. */
  expectDeadline(now: number): void {
    this.#deadlineSetAt = now
    if (!this.#isTimed) {
      this.#isTimed = true
      this.#now = -1
    }
    if (this.#sweepAt > now + SWEEP_MS) this.#planSweep(now + SWEEP_MS, now)
  }

  /** Nothing is left that has a deadline. */
  forget(): void {
    this.#isTimed = false
    this.#now = 0
    this.#sweepTimer?.cancel()
    this.#sweepTimer = undefined
    this.#sweepAt = Infinity
    this.#resolutionTimer?.cancel()
    this.#resolutionTimer = undefined
  }

  #planSweep(at: number, now: number): void {
    if (!this.#hasTimers) return
    this.#sweepTimer?.cancel()
    this.#sweepAt = at
    this.#sweepTimer = this.#startTimer(at - now, (time) => time.#sweep())
  }

  /**
   * Expires what is due. The next sweep comes after an eighth of the time since a deadline was last set, so
   * that an entry waits no longer for the sweep than for the wheel, whose buckets are as coarse; a cache that
   * idles for a year is swept 150 times.
   */
  #sweep(): void {
    this.#sweepTimer = undefined
    this.#sweepAt = Infinity
    const now = this.look()
    if (this.#resolutionTimer !== undefined) this.#now = now
    this.#wheel.advance(now, SWEEP_BUDGET)
    if (!this.#wheel.isTimed) this.forget()
    else if (this.#wheel.isBehind(now)) this.#planSweep(now + 1, now)
    else this.#planSweep(now + Math.max(SWEEP_MS, (now - this.#deadlineSetAt) / 8), now)
    this.#onSwept()
  }

  /** Where timers cannot be had, reads go to the clock each time, and expiry to reads and writes. */
  #startTimer(delayMs: number, run: (time: Timekeeper) => void): Timer | undefined {
    const self = this.#self
    try {
      return this.#clock.setTimer(() => {
        const time = self.deref()
        if (time !== undefined) run(time)
      }, delayMs)
    } catch {
      this.#hasTimers = false
      return undefined
    }
  }
}
