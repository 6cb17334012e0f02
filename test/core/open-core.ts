// Opens the artefacts of the core for its tests, with nothing of src/ in between.

import { readFileSync } from 'node:fs'

/** The ABI, as far as every build has it. */
export interface Core {
  readonly memory: WebAssembly.Memory
  readonly HEADER_AT: WebAssembly.Global
  readonly SEED_AT: WebAssembly.Global
  readonly SIZE_AT: WebAssembly.Global
  readonly REMOVAL_COUNT_AT: WebAssembly.Global
  readonly STATS_AT: WebAssembly.Global
  create(maxEntries: number, policy: number, flags: number, partitions: number, maxBytes: number): number
  valueNext(bytes: number, kind: number, from: number): void
  valuesAt(): number
  lend(slot: number): number
  unlend(block: number): void
  largestFree(): number
  regionAt(number: number): number
  scratchAt(): number
  removalsAt(): number
  stage(length: number, encoding: number): void
  stageInteger(value: number): void
  get(now: number): number
  getStaged(length: number, encoding: number, now: number): number
  getInteger(value: number, now: number): number
  getAt(slot: number, generation: number, now: number): number
  peek(now: number): number
  peekAt(slot: number, generation: number, now: number): number
  extend(slot: number, freshUntil: number, usableUntil: number, now: number): void
  set(freshUntil: number, usableUntil: number, now: number): number
  setStaged(length: number, encoding: number, freshUntil: number, usableUntil: number, now: number): number
  setInteger(value: number, freshUntil: number, usableUntil: number, now: number): number
  remove(now: number): number
  touch(freshUntil: number, usableUntil: number, now: number): number
  hide(): number
  advance(now: number, budget: number): number
  wheelBacklog(now: number): number
  drain(): void
  clear(): void
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
  policyMemory(): number
  adapt(memory: number): void
  restore(freshUntil: number, usableUntil: number, now: number, state: number): number
  stampNext(partition: number, epochIndex: number, asOf: number, tagSequence: number): void
  setPartition(partition: number, epochIndex: number, suspectBelow: number): void
  setLease(until: number): void
  asOf(slot: number): number
  partitionOf(slot: number): number
  epochOf(slot: number): number
  tagSequence(slot: number): number
  /** Debug and testing builds: 0, or the number of a broken invariant in assembly/check.ts. */
  check(): number
}

/** What a build for JavaScript engines has besides. */
export interface StringCore extends Core {
  stageString(key: string): number
  getString(key: string, now: number): number
  setString(key: string, freshUntil: number, usableUntil: number, now: number): number
}

/** The structures one by one, as assembly/testing.ts exports them. */
export interface TestingCore extends Core {
  readonly RECORD_BYTES: WebAssembly.Global
  readonly BUCKET_BYTES: WebAssembly.Global
  readonly LINK_BYTES: WebAssembly.Global
  readonly REMOVAL_BYTES: WebAssembly.Global
  readonly REMOVAL_LIMIT: WebAssembly.Global
  readonly AUTHORITY_BYTES: WebAssembly.Global
  readonly PARTITION_BYTES: WebAssembly.Global
  readonly MAX_KEY_LENGTH: WebAssembly.Global
  readonly SCRATCH_BYTES: WebAssembly.Global
  checkArena(): number
  checkTable(): number
  recordsAt(): number
  arenaAt(): number
  wyhash(at: number, bytes: number, seed: bigint): bigint
  tableInsert(slot: number, value: number, hash: number): void
  tableFind(value: number, hash: number): number
  tableRemove(slot: number): void
  tableBuckets(): number
  tableOverflow(bucket: number): number
  listEmpty(head: number): void
  listAddFirst(head: number, node: number): void
  listUnlink(node: number): void
  listBehind(node: number): number
  listBefore(node: number): number
  wheelSchedule(slot: number, deadline: number, now: number): void
  wheelUnschedule(slot: number): void
  wheelNextDue(now: number): number
  wheelPlaceAgain(slot: number, now: number): void
  sketchAdd(hash: number, units: number): void
  sketchEstimate(hash: number): number
  ghostNote(table: number, hash: number): void
  ghostTake(table: number, hash: number): number
  marksAt(): number
  policyEnd(): number
  arenaAllocate(bytes: number): number
  arenaRelease(block: number, bytes: number): void
  arenaBlockBytes(bytes: number): number
  arenaTop(): number
  heapAt(): number
  heapEnd(): number
  blockOf(slot: number): number
  freeBytes(): number
  heapGather(bytes: number): number
}

export const LATIN1 = 0
export const TWO_BYTE = 1
export const INTEGER = 2

export const REPORT_KEYS = 1
export const AUTHORITY = 2
export const WEIGHED = 4
export const BYTES = 8

/** Counters at STATS_AT, in their order. */
export const counters = [
  'hits',
  'misses',
  'inserts',
  'replaces',
  'evictions',
  'expirations',
  'deletes',
  'refusals',
] as const

type BuiltinModule = new (bytes: BufferSource, options: { builtins: string[] }) => WebAssembly.Module

export function compile(artefact: string): WebAssembly.Module {
  const bytes = readFileSync(new URL(`../../build/${artefact}.wasm`, import.meta.url))
  return new (WebAssembly.Module as unknown as BuiltinModule)(bytes, { builtins: ['js-string'] })
}

/** Whether this engine hands strings to WebAssembly. */
export const hasStringBuiltins = !WebAssembly.Module.imports(compile('core')).some(
  ({ module }) => module === 'wasm:js-string',
)

/** The numbers of the policies in assembly/layout.ts that count entries. */
export const policies = { lru: 0, 'lazy-tinylfu': 1, sieve: 2, s3fifo: 3 } as const

/** The same of those that there are under a budget in bytes. */
export const budgetPolicies = { ...policies, gdsf: 4 } as const

export interface CoreOptions {
  maxEntries: number
  /** @defaultValue `'lru'` */
  policy?: keyof typeof budgetPolicies
  flags?: number
  partitions?: number
  /** With WEIGHED. */
  maxBytes?: number
  /** What the host writes at SEED_AT: seed and four secrets. */
  seed?: readonly bigint[]
  /** The engine is expected to refuse, so the cache is not there yet. */
  isRefused?: boolean
}

const debugModule = compile('core.debug')
const testingModule = compile('core.testing')

/** The debug build: asserts trap, and the checker is there. Seeds are zero unless given. */
export function openCore(options: CoreOptions): StringCore {
  const core = instantiate(debugModule, {}) as unknown as StringCore
  return created(core, options)
}

/** The testing build in a memory of at most `maxPages` pages of 64 KiB. */
export function openTestingCore(options: CoreOptions, maxPages = 16_384): TestingCore {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: maxPages })
  const core = { ...instantiate(testingModule, { memory }), memory } as unknown as TestingCore
  return created(core, options)
}

/** Instantiates a build with stand-ins for builtins that the engine lacks; calling one is an error. */
export function instantiate(
  module: WebAssembly.Module,
  env: Record<string, WebAssembly.ImportValue>,
): WebAssembly.Exports {
  const absent = () => {
    throw new Error('a string builtin was called on an engine that has none')
  }
  return new WebAssembly.Instance(module, {
    'wasm:js-string': { length: absent, charCodeAt: absent },
    env: { ...env, abort },
  }).exports
}

function abort(_message: number, _file: number, line: number, column: number): never {
  throw new Error(`an assert of the core failed at ${line}:${column}`)
}

function created<C extends Core>(core: C, options: CoreOptions): C {
  const { maxEntries, policy = 'lru', flags = 0, partitions = 0, maxBytes = 0 } = options
  const { seed = [], isRefused = false } = options
  new BigUint64Array(core.memory.buffer, core.SEED_AT.value, 5).set(seed)
  const answer = core.create(maxEntries, budgetPolicies[policy], flags, partitions, maxBytes)
  if (answer !== (isRefused ? -1 : 0)) throw new Error(`create answered ${answer}`)
  return core
}

/** A key as a host stages it: its units, their number, and how they are encoded. */
export interface EncodedKey {
  bytes: Uint8Array
  length: number
  encoding: number
}

/** Encodes a key without the core's help. */
export function encode(key: string | number): EncodedKey {
  if (typeof key === 'number') {
    return { bytes: new Uint8Array(new Float64Array([key]).buffer), length: 8, encoding: INTEGER }
  }
  const units = Uint16Array.from({ length: key.length }, (_, index) => key.charCodeAt(index))
  const isLatin1 = units.every((unit) => unit <= 255)
  const bytes = isLatin1 ? Uint8Array.from(units) : new Uint8Array(units.buffer)
  return { bytes, length: key.length, encoding: isLatin1 ? LATIN1 : TWO_BYTE }
}

/** Turns bytes of a key back into the key. */
export function decode(bytes: Uint8Array, encoding: number): string | number {
  const copy = bytes.slice()
  if (encoding === INTEGER) return new Float64Array(copy.buffer)[0] as number
  const units = encoding === LATIN1 ? copy : new Uint16Array(copy.buffer)
  return Array.from(units, (unit) => String.fromCharCode(unit)).join('')
}

/** Makes `key` the current key by way of scratch, with rubbish behind it as in real use. */
export function stage(core: Core, key: string | number): void {
  if (typeof key === 'number') {
    core.stageInteger(key)
    return
  }
  const { bytes, length, encoding } = encode(key)
  const scratch = new Uint8Array(core.memory.buffer, core.scratchAt() >>> 0)
  scratch.fill(0xa5, 0, Math.min(bytes.length + 64, 131_072))
  scratch.set(bytes)
  core.stage(length, encoding)
}

export function get(core: Core, key: string | number, now = 0): number {
  stage(core, key)
  return core.get(now)
}

export function set(core: Core, key: string | number, usableUntil = Infinity, now = 0): number {
  stage(core, key)
  return core.set(usableUntil, usableUntil, now)
}

export function remove(core: Core, key: string | number, now = 0): number {
  stage(core, key)
  return core.remove(now)
}

/** The key that a slot holds, read from memory. */
export function keyOf(core: Core, slot: number): string | number {
  const encoding = core.keyEncoding(slot)
  const bytes = core.keyLength(slot) << (encoding & 1)
  return decode(new Uint8Array(core.memory.buffer, core.keyAt(slot) >>> 0, bytes), encoding)
}

/** Keys in the order of the walk: for `lru` from the newest use to the oldest. */
export function keysOf(core: Core): (string | number)[] {
  const keys = []
  for (let slot = core.nextOlder(-1); slot !== -1; slot = core.nextOlder(slot)) keys.push(keyOf(core, slot))
  return keys
}

export interface Removal {
  slot: number
  cause: 'evicted' | 'expired'
  key: string | number
}

/** The removal list as it stands; keys are empty when they are not reported. */
export function removalsOf(core: Core): Removal[] {
  const view = new DataView(core.memory.buffer)
  const count = view.getUint32(core.REMOVAL_COUNT_AT.value, true)
  return Array.from({ length: count }, (_, index) => {
    const at = (core.removalsAt() >>> 0) + index * 48
    const encoding = view.getUint32(at + 12, true)
    const length = view.getUint32(at + 8, true)
    const bytes = length << (encoding & 1)
    const keyAt = bytes > 32 ? view.getUint32(at + 16, true) : at + 16
    return {
      slot: view.getUint32(at, true),
      cause: view.getUint32(at + 4, true) === 0 ? 'evicted' : 'expired',
      key: length === 0 ? '' : decode(new Uint8Array(core.memory.buffer, keyAt, bytes), encoding),
    }
  })
}

export function sizeOf(core: Core): number {
  return new DataView(core.memory.buffer).getUint32(core.SIZE_AT.value, true)
}

/** The counters by name. */
export function statsOf(core: Core): Record<(typeof counters)[number], number> {
  const view = new DataView(core.memory.buffer)
  const at = core.STATS_AT.value as number
  const read = (index: number) => Number(view.getBigUint64(at + index * 8, true))
  return Object.fromEntries(counters.map((name, index) => [name, read(index)])) as ReturnType<typeof statsOf>
}
