import { expect, test } from 'vitest'
import { openTestingCore, type TestingCore } from './open-core.ts'
import { SEED, SeededRandom } from './random.ts'

interface Block {
  at: number
  bytes: number
  size: number
}

/** The first two blocks that share a byte, if any. */
function overlapIn(blocks: readonly Block[]): [Block, Block] | undefined {
  const sorted = [...blocks].sort((left, right) => left.at - right.at)
  for (const [index, block] of sorted.entries()) {
    const next = sorted[index + 1]
    if (next !== undefined && block.at + block.size > next.at) return [block, next]
  }
  return undefined
}

function allocate(core: TestingCore, bytes: number): Block | undefined {
  const at = core.arenaAllocate(bytes) >>> 0
  return at === 0 ? undefined : { at, bytes, size: core.arenaBlockBytes(bytes) }
}

test('a block is large enough, and no more than an eighth and a granule too large', () => {
  const core = openTestingCore({ maxEntries: 1 })
  for (let bytes = 1; bytes <= 131_072; bytes++) {
    const size = core.arenaBlockBytes(bytes)
    if (size < bytes || size % 16 !== 0 || size >= bytes * 1.125 + 16)
      expect([bytes, size]).toBe('a fitting class')
  }
  expect(core.arenaBlockBytes(131_072)).toBe(131_072)
})

test('a released block serves the next request of its class', () => {
  const core = openTestingCore({ maxEntries: 1 })
  const block = core.arenaAllocate(100)
  core.arenaRelease(block, 100)
  expect(core.arenaAllocate(97)).toBe(block)
  expect(core.arenaAllocate(97)).not.toBe(block)
})

test('random requests never overlap, and what is free is covered by the lists', () => {
  const random = new SeededRandom(SEED)
  const core = openTestingCore({ maxEntries: 1 })
  const blocks: Block[] = []
  for (let step = 0; step < 4_000; step++) {
    if (random.below(100) < 55) {
      const bytes = 1 + random.below(random.pick([48, 300, 5_000, 131_072]))
      const block = allocate(core, bytes)
      if (block === undefined) throw new Error(`SEED=${SEED} step ${step}: refused ${bytes}`)
      expect(block.at % 16).toBe(0)
      expect(block.at + block.size <= core.memory.buffer.byteLength).toBe(true)
      new Uint8Array(core.memory.buffer, block.at, block.size).fill(0xff)
      blocks.push(block)
    } else if (blocks.length > 0) {
      const [block] = blocks.splice(random.below(blocks.length), 1)
      if (block !== undefined) core.arenaRelease(block.at, block.bytes)
    }
    if (step % 50 === 0) expect(overlapIn(blocks), `SEED=${SEED} step ${step}`).toBeUndefined()
  }
  expect(overlapIn(blocks), `SEED=${SEED}`).toBeUndefined()
  for (const { at, bytes } of blocks) core.arenaRelease(at, bytes)
  expect(core.checkArena(), `SEED=${SEED}`).toBe(0)
})

test('a refusal is an answer, and larger free blocks are split before it comes to that', () => {
  const random = new SeededRandom(SEED)
  const core = openTestingCore({ maxEntries: 1 }, 32)
  const blocks: Block[] = []
  const fill = (bytes: () => number) => {
    for (;;) {
      const block = allocate(core, bytes())
      if (block === undefined) return
      blocks.push(block)
    }
  }
  fill(() => 100_000)
  expect(core.arenaAllocate(100_000)).toBe(0)
  fill(() => 60)
  const large = blocks.filter((block) => block.bytes === 100_000)
  expect(large.length).toBeGreaterThan(5)

  const [freed] = large
  if (freed === undefined) throw new Error('nothing was allocated')
  core.arenaRelease(freed.at, freed.bytes)
  blocks.splice(blocks.indexOf(freed), 1)
  const before = blocks.length
  fill(() => 33 + random.below(400))
  expect(blocks.length - before, `SEED=${SEED}`).toBeGreaterThan(100)
  expect(overlapIn(blocks), `SEED=${SEED}`).toBeUndefined()

  for (const { at, bytes } of blocks) core.arenaRelease(at, bytes)
  expect(core.checkArena(), `SEED=${SEED}`).toBe(0)
})
