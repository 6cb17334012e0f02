// @ts-check
/**
 * Reports every import in src/ and assembly/ that goes through a closed door, every way in which the root entry
 * could come to need Node, and every cycle. ARCHITECTURE.md draws the same map; this copy cannot lie.
 */
import { closureOf, entryPaths, isNodeFile, sourceFilesOf } from './source-files.js'

/**
 * Which rooms each room may import; `/file` after a room's name narrows the door to that file.
 *
 * @type {Record<string, string[]>}
 */
const doors = {
  base: [],
  metrics: ['base'],
  codecs: ['base'],
  core: ['base'],
  l1: ['base', 'core', 'codecs/codec'],
  // What a tier and a bus over the same backend share: its directory, its lock, its log, its hub.
  backends: ['base', 'tiers/tier', 'tiers/ledger', 'bus/bus'],
  tiers: ['base', 'backends'],
  // A bus without a tier orders mutations itself, so its contract names the contract of what does.
  bus: ['base', 'backends', 'tiers/ledger', 'tiers/tier'],
  coordinator: [
    'base',
    'metrics',
    'l1/l1',
    'tiers/tier',
    'tiers/ledger',
    'bus/bus',
    'bus/message',
    'codecs/codec',
  ],
  cache: ['base', 'metrics', 'codecs', 'core', 'l1', 'backends', 'tiers', 'bus', 'coordinator'],
  // Saves what it is given by the one method it needs, so it knows no L1.
  snapshot: [],
  http: ['base', 'cache'],
  // Its settings name backends by words, so here tiers and buses are made.
  django: [
    'base',
    'cache',
    'codecs/codec',
    'tiers/tier',
    'tiers/file',
    'tiers/memcached',
    'tiers/sql',
    'bus/bus',
    'bus/file',
    'bus/sql',
  ],
  fragments: ['base', 'cache'],
  cli: ['base', 'cache', 'metrics', 'tiers/sql'],
  testing: ['base', 'core', 'tiers/tier', 'tiers/ledger', 'bus/bus', 'bus/message', 'codecs/codec'],
}

/** The files at the root of src/ are two rooms; these are `base`, the composition root is `cache`. */
const baseFiles = [
  'base64',
  'checksum',
  'clock',
  'duration',
  'entry',
  'errors',
  'key',
  'message',
  'options',
  'random',
  'request-memory',
  'stamp',
  'tag-table',
]
const cacheFiles = [
  'cache',
  'caches',
  'create-cache',
  'create-l1',
  'index',
  'invalidate-after',
  'key-map',
  'memoize',
  'request-scope',
]

/**
 * In these rooms neighbours meet only through the contract, or in a part that several of them are made of: a tier
 * never knows another tier.
 *
 * @type {Record<string, string[]>}
 */
const contracts = {
  tiers: ['tiers/tier.ts', 'tiers/ledger.ts'],
  bus: ['bus/bus.ts', 'bus/message.ts', 'bus/recovery.ts'],
  codecs: ['codecs/codec.ts', 'codecs/tagged.ts', 'codecs/xaes.ts'],
}

/** The floors of the core, from the ground up: a file imports from floors below its own and nowhere else. */
const floors = [
  ['layout'],
  ['entry', 'hash', 'list', 'stats', 'arena', 'policies/marks', 'policies/sketch', 'policies/ghost'],
  ['values', 'policies/chance'],
  ['blocks', 'policies/queues'],
  ['keys', 'partitions', 'removals', 'wheel'],
  ['policies/lru', 'policies/sieve', 'policies/lazy-tinylfu', 'policies/s3fifo', 'policies/gdsf'],
  ['policies/policy', 'table'],
  ['store'],
  ['index'],
  ['strings', 'check'],
  ['debug', 'testing'],
]

/** @type {string[]} */
const problems = []
const src = sourceFilesOf('src')
const assembly = sourceFilesOf('assembly')

for (const file of src) {
  const from = roomOf(file.path)
  if (from === undefined) {
    problems.push(
      `src/${file.path}: in no room; add it to a folder, or to a list in scripts/check-imports.js`,
    )
    continue
  }
  for (const { specifier, target, line } of file.imports) {
    const where = `src/${file.path}:${line}`
    if (target === undefined) checkOutside(where, file.path, specifier)
    else if (target.startsWith('../')) problems.push(`${where}: ${specifier} leaves src/`)
    else if (!isOpen(from, target)) problems.push(`${where}: no door from ${from} to ${target}`)
  }
}

/**
 * Imports of something that is not ours.
 *
 * @param {string} where
 * @param {string} path
 * @param {string} specifier
 */
function checkOutside(where, path, specifier) {
  if (specifier === '#core-bytes') {
    if (path !== 'core/module.ts') problems.push(`${where}: only core/module.ts takes the core's bytes`)
  } else if (specifier.startsWith('node:')) {
    if (!isNodeFile(path)) {
      problems.push(`${where}: ${specifier} in a file that also runs elsewhere; ask for it as an option`)
    }
  } else {
    problems.push(`${where}: ${specifier} is a dependency at run time; take the client as an option instead`)
  }
}

/**
 * @param {string} from
 * @param {string} target
 */
function isOpen(from, target) {
  const to = roomOf(target)
  if (to === undefined) return false
  if (from === to) return contracts[from]?.includes(target) ?? true
  return doors[from]?.some((door) => door === to || `${door}.ts` === target) ?? false
}

/**
 * @param {string} path
 * @returns {string | undefined}
 */
function roomOf(path) {
  const slash = path.indexOf('/')
  const name = slash === -1 ? path.replace(/\.ts$/, '') : path.slice(0, slash)
  if (slash !== -1) return name in doors ? name : undefined
  if (baseFiles.includes(name)) return 'base'
  return cacheFiles.includes(name) ? 'cache' : undefined
}

const portable = entryPaths().filter((path) => !isNodeFile(path))
for (const entry of portable) {
  const namedBy = closureOf(src, [entry])
  for (const file of src) {
    if (!namedBy.has(file.path)) continue
    for (const { specifier } of file.imports) {
      if (specifier.startsWith('node:')) {
        problems.push(`src/${entry}: reaches ${specifier} by way of ${wayTo(file.path, namedBy).join(' → ')}`)
      }
    }
  }
}

/**
 * @param {string} path
 * @param {Map<string, string | undefined>} namedBy
 * @returns {string[]}
 */
function wayTo(path, namedBy) {
  const before = namedBy.get(path)
  return before === undefined ? [path] : [...wayTo(before, namedBy), path]
}

/** @param {string} path */
const floorOf = (path) => floors.findIndex((floor) => floor.includes(path.replace(/\.ts$/, '')))

for (const file of assembly) {
  const floor = floorOf(file.path)
  if (floor === -1) {
    problems.push(`assembly/${file.path}: on no floor; give it one in scripts/check-imports.js`)
    continue
  }
  for (const { specifier, target, line } of file.imports) {
    const where = `assembly/${file.path}:${line}`
    if (target === undefined || target.startsWith('../')) {
      problems.push(`${where}: ${specifier} is outside the core, which imports nothing`)
    } else if (floorOf(target) >= floor) {
      problems.push(
        `${where}: ${target} is not below ${file.path}; the floors are in scripts/check-imports.js`,
      )
    }
  }
}

for (const cycle of cyclesOf(src)) {
  problems.push(`src/: ${cycle.join(' → ')} is a cycle; lift what both need into a file of its own`)
}

/**
 * Cycles that exist at run time; type-only imports are erased and may look back.
 *
 * @param {import('./source-files.js').SourceFile[]} files
 * @returns {string[][]}
 */
function cyclesOf(files) {
  const byPath = new Map(files.map((file) => [file.path, file]))
  /** @type {string[][]} */
  const cycles = []
  const done = new Set()
  /** @param {string} path @param {string[]} way */
  const walk = (path, way) => {
    if (way.includes(path)) {
      cycles.push([...way.slice(way.indexOf(path)), path])
      return
    }
    if (done.has(path)) return
    for (const { target, isType } of byPath.get(path)?.imports ?? []) {
      if (target !== undefined && !isType) walk(target, [...way, path])
    }
    done.add(path)
  }
  for (const { path } of files) walk(path, [])
  return cycles
}

for (const problem of problems) console.error(problem)
console.log(`${src.length + assembly.length} files, ${problems.length} closed doors`)
process.exitCode = problems.length === 0 ? 0 : 1
