// A memo of hot key strings in front of the core: from a few characters of a key to the slot of its entry.
//
// The core reads every character of a key on each look-up, for hash and comparison: 60 ns for thirty characters,
// where a `Map` finds a string it has hashed before in 20. Here four characters and the length name one cell of a
// direct-mapped table. When the cell holds the same string, which for a string that is used again is a comparison
// of pointers, the core is told slot and generation and has nothing to hash; it still decides by itself whether
// the entry is there, fresh, hidden or suspect, and counts the use. A cell that is wrong costs time, never an answer.
//
//   cells   4 words each: the mixture of the characters, slot, generation, unused
//   keys    the strings, by cell
//
// Which characters: those in which 64 keys of the caller's own differ most. Keys that are not long enough for
// them go by the core.
//
// Whether it pays depends on how many look-ups it answers, so that is counted and decides: at three in four it
// stays for another while, below it goes, and is tried again after twice as many look-ups as the last time. Where
// the hot keys do not fit, a look-up pays some 2 % for these trials. Which keys are in it depends on counts
// alone, so a run can be repeated.
//
// Measured in docs/decisions/0027, with what was tried beside it.

import { type Core, MOVED } from '../core/core.ts'

/** The most cells: 128 KiB with the keys, which fit a second-level cache of today beside the entries. */
const CELLS = 8_192
const CELL_WORDS = 4
const SLOT = 1
const GENERATION = 2

/** Characters that name a cell. Each costs 4 ns a look-up; four digits tell 10,000 keys apart. */
const PICKS = 4
/** Keys looked at to choose them, and the reach of the choice from either end of a key. */
const SAMPLE = 64
const REACH = 64

/** The longest key that is kept, so that forgotten keys hold no more than 1 MiB. */
const LONGEST = 128

/** One look-up in so many that the memo could not answer takes a cell from another key. */
const TAKE_ONE_IN = 8

/** The fewest look-ups in a row that are counted together; else as many as there are cells. */
const SHORTEST_WINDOW = 1_024
/** The part of them that the core had to answer, above which the memo does not pay. */
const MOST_MISSES = 0.25
/** Windows from one trial to the next, at least and at most. */
const FIRST_PAUSE = 8
const LONGEST_PAUSE = 64

/** What the memo is doing; the next phase comes when `#left` look-ups are over. */
type Phase = 'pausing' | 'sampling' | 'filling' | 'working'

/** Slots of hot keys, found by a few of their characters. */
export class Memo {
  readonly #core: Core
  readonly #cellCount: number
  readonly #window: number
  readonly #keys: string[] = []
  #cells = new Int32Array(0)
  #isOn = false
  #phase: Phase = 'pausing'
  /** Look-ups until the phase ends. */
  #left: number
  #pause = FIRST_PAUSE
  #misses = 0
  #untilTake = TAKE_ONE_IN

  readonly #sample: string[] = []
  /** Where the characters are, from the start of the key or, negative, from its end; and how long it must be. */
  #isFromEnd = false
  #shortest = 0
  #pick0 = 0
  #pick1 = 0
  #pick2 = 0
  #pick3 = 0

  /** @param maxEntries - Of the core: a small one needs fewer cells. */
  constructor(core: Core, maxEntries: number) {
    this.#core = core
    let cells = 64
    while (cells < CELLS && cells < 4 * maxEntries) cells *= 2
    this.#cellCount = cells
    this.#window = Math.max(SHORTEST_WINDOW, cells)
    // The first trial comes early: a cache that is read at all is filled by then, or the next one finds it so.
    this.#left = this.#window
  }

  /** Whether it is asked at present. */
  get isOn(): boolean {
    return this.#isOn
  }

  /** What `core.get` answers. */
  get(key: string, now: number): number {
    if (--this.#left === 0) this.#proceed(key)
    if (!this.#isOn) return this.#core.get(key, now)
    const { length } = key
    if (length < this.#shortest || length > LONGEST) return this.#ask(key, now)
    const from = this.#isFromEnd ? length : 0
    let mixture = length
    mixture = Math.imul(mixture, 37) + key.charCodeAt(from + this.#pick0)
    mixture = Math.imul(mixture, 37) + key.charCodeAt(from + this.#pick1)
    mixture = Math.imul(mixture, 37) + key.charCodeAt(from + this.#pick2)
    mixture = (Math.imul(mixture, 37) + key.charCodeAt(from + this.#pick3)) | 0
    const cell = (mixture ^ (mixture >>> 13)) & (this.#cellCount - 1)
    const cells = this.#cells
    const at = cell * CELL_WORDS
    // The number first: of two strings of one length that differ, `===` may have to read the characters.
    if (cells[at] === mixture && this.#keys[cell] === key) {
      const slot = cells[at + SLOT] as number
      const answer = this.#core.getAt(slot, cells[at + GENERATION] as number, now)
      if (answer !== MOVED) return answer
    }
    return this.#learn(key, now, cell, mixture)
  }

  /** Forgets all keys, as `clear` of the cache made them useless; what was chosen stays. */
  clear(): void {
    this.#keys.fill('')
    this.#cells.fill(0)
  }

  /** The way past the memo, which counts against it. */
  #ask(key: string, now: number): number {
    this.#misses++
    return this.#core.get(key, now)
  }

  #learn(key: string, now: number, cell: number, mixture: number): number {
    const answer = this.#ask(key, now)
    if (answer < 0) return answer
    const known = this.#keys[cell]
    if (known !== '' && known !== key && --this.#untilTake !== 0) return answer
    this.#untilTake = TAKE_ONE_IN
    const slot = answer >> 3
    const at = cell * CELL_WORDS
    this.#keys[cell] = key
    this.#cells[at] = mixture
    this.#cells[at + SLOT] = slot
    this.#cells[at + GENERATION] = this.#core.generationOf(slot)
    return answer
  }

  #proceed(key: string): void {
    if (this.#phase === 'pausing' || this.#phase === 'sampling') this.#take(key)
    else if (this.#phase === 'filling') this.#measure('working')
    else if (this.#misses <= this.#window * MOST_MISSES) {
      this.#pause = FIRST_PAUSE
      this.#measure('working')
    } else this.#rest()
  }

  #take(key: string): void {
    this.#phase = 'sampling'
    this.#left = 1
    if (key.length > 0 && key.length <= LONGEST) this.#sample.push(key)
    else this.#left = SAMPLE
    if (this.#sample.length < SAMPLE) return
    this.#choose()
    this.#sample.length = 0
    this.#isOn = true
    for (let cell = this.#keys.length; cell < this.#cellCount; cell++) this.#keys.push('')
    this.#cells = new Int32Array(this.#cellCount * CELL_WORDS)
    this.#measure('filling')
  }

  #measure(phase: Phase): void {
    this.#phase = phase
    this.#misses = 0
    this.#left = this.#window
  }

  #rest(): void {
    this.#phase = 'pausing'
    this.#isOn = false
    this.#keys.length = 0
    this.#cells = new Int32Array(0)
    this.#left = this.#window * this.#pause
    this.#pause = Math.min(this.#pause * 2, LONGEST_PAUSE)
  }

  /** Chooses the characters, from the end of keys that the sample shows to be best told apart there. */
  #choose(): void {
    const start = choose(this.#sample, false)
    const end = choose(this.#sample, true)
    const best = end.groups > start.groups ? end : start
    this.#isFromEnd = best === end
    this.#shortest = best.shortest
    ;[this.#pick0, this.#pick1, this.#pick2, this.#pick3] = best.picks
  }
}

type Picks = [number, number, number, number]

/**
 * One place after the other, each where the keys differ most, alone and beside each place chosen before: of a number
 * that stands in the keys twice, the same digit is not worth two places.
 */
function choose(
  keys: readonly string[],
  isFromEnd: boolean,
): { picks: Picks; groups: number; shortest: number } {
  const lengths = keys.map(({ length }) => length).sort((left, right) => left - right)
  // Keys shorter than three in four of them go by the core.
  const reach = Math.min(REACH, lengths[keys.length >> 2] as number)
  const columns = Array.from({ length: reach }, (_, offset) =>
    keys.map((key) => key.charAt(isFromEnd ? key.length - 1 - offset : offset)),
  )
  const chosen: number[] = []
  for (let pick = 0; pick < PICKS; pick++) {
    const scores = columns.map((column) =>
      Math.min(
        ...chosen.map((at) => groupsOf([columns[at] as string[], column])),
        groupsOf([column]) * SAMPLE,
      ),
    )
    chosen.push(scores.indexOf(Math.max(...scores)))
  }
  return {
    picks: chosen.map((offset) => (isFromEnd ? -1 - offset : offset)) as Picks,
    groups: groupsOf(chosen.map((at) => columns[at] as string[])),
    shortest: reach,
  }
}

/** How many keys are told apart by their characters in these columns. */
function groupsOf(columns: readonly string[][]): number {
  return new Set((columns[0] ?? []).map((_, key) => columns.map((column) => column[key]).join(''))).size
}
