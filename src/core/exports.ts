// What build/core.wasm exports, as TypeScript sees it. Mirrors assembly/index.ts and assembly/strings.ts
// line by line; test/unit/core/exports.test.ts compares the names with the binary's.
//
// Numbers only, apart from the keys of the three `…String` functions. What is unsigned in the core arrives
// signed; `core.ts` sets that right where a value can be that large.

/** The exports of the core. What each operation promises is written beside it in assembly/. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory

  // Addresses that every core shares.
  readonly HEADER_AT: WebAssembly.Global
  readonly SEED_AT: WebAssembly.Global
  readonly SIZE_AT: WebAssembly.Global
  readonly REMOVAL_COUNT_AT: WebAssembly.Global
  readonly STATS_AT: WebAssembly.Global

  /** `0`, or `-1` when the engine refused the memory; `-2` for sizes that make no sense. */
  create(maxEntries: number, policy: number, flags: number, partitions: number, maxBytes: number): number
  scratchAt(): number
  removalsAt(): number

  // The current key.
  stage(length: number, encoding: number): void
  stageInteger(value: number): void
  stageString(key: string): number

  // Operations on the current key.
  get(now: number): number
  peek(now: number): number
  set(freshUntil: number, usableUntil: number, now: number): number
  remove(now: number): number
  touch(freshUntil: number, usableUntil: number, now: number): number
  hide(): number

  // The same by slot and generation, without the key.
  getAt(slot: number, generation: number, now: number): number
  peekAt(slot: number, generation: number, now: number): number
  extend(slot: number, freshUntil: number, usableUntil: number, now: number): void

  // The key and the operation in one crossing.
  getStaged(length: number, encoding: number, now: number): number
  getInteger(value: number, now: number): number
  getString(key: string, now: number): number
  setStaged(length: number, encoding: number, freshUntil: number, usableUntil: number, now: number): number
  setInteger(value: number, freshUntil: number, usableUntil: number, now: number): number
  setString(key: string, freshUntil: number, usableUntil: number, now: number): number

  advance(now: number, budget: number): number
  wheelBacklog(now: number): number
  drain(): void
  clear(): void

  // One entry, by its slot.
  nextOlder(slot: number): number
  keyAt(slot: number): number
  keyLength(slot: number): number
  keyEncoding(slot: number): number
  generation(slot: number): number
  freshUntil(slot: number): number
  usableUntil(slot: number): number
  isLive(slot: number): number
  isHidden(slot: number): number
  policyState(slot: number): number

  // Caches with a budget in bytes.
  valueNext(bytes: number, kind: number, from: number): void
  valuesAt(): number
  lend(slot: number): number
  unlend(block: number): void
  largestFree(): number
  regionAt(number: number): number

  // What one cache takes over from another.
  policyMemory(): number
  adapt(memory: number): void
  restore(freshUntil: number, usableUntil: number, now: number, state: number): number

  // Caches with an authority.
  stampNext(partition: number, epochIndex: number, asOf: number, tagSequence: number): void
  setPartition(partition: number, epochIndex: number, suspectBelow: number): void
  setLease(until: number): void
  asOf(slot: number): number
  partitionOf(slot: number): number
  epochOf(slot: number): number
  tagSequence(slot: number): number
}
