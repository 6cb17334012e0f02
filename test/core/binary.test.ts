// What the artefacts ask of their host and offer it. A change here is a change of the ABI.

import { expect, test } from 'vitest'
import { compile, hasStringBuiltins, instantiate } from './open-core.ts'

const base = [
  'HEADER_AT',
  'REMOVAL_COUNT_AT',
  'SEED_AT',
  'SIZE_AT',
  'STATS_AT',
  'adapt',
  'advance',
  'asOf',
  'clear',
  'create',
  'drain',
  'epochOf',
  'extend',
  'freshUntil',
  'generation',
  'get',
  'getAt',
  'getInteger',
  'getStaged',
  'hide',
  'isHidden',
  'isLive',
  'keyAt',
  'keyEncoding',
  'keyLength',
  'largestFree',
  'lend',
  'memory',
  'nextOlder',
  'partitionOf',
  'peek',
  'peekAt',
  'policyMemory',
  'policyState',
  'regionAt',
  'removalsAt',
  'remove',
  'restore',
  'scratchAt',
  'set',
  'setInteger',
  'setLease',
  'setPartition',
  'setStaged',
  'stage',
  'stageInteger',
  'stampNext',
  'tagSequence',
  'touch',
  'unlend',
  'usableUntil',
  'valueNext',
  'valuesAt',
  'wheelBacklog',
]
const strings = ['getString', 'setString', 'stageString']

function exportsOf(artefact: string): string[] {
  return WebAssembly.Module.exports(compile(artefact))
    .map(({ name }) => name)
    .sort()
}

function importsOf(artefact: string): string[] {
  return WebAssembly.Module.imports(compile(artefact))
    .map(({ module, name }) => `${module} ${name}`)
    .sort()
}

test('the base exports the ABI and nothing else', () => {
  expect(exportsOf('core.base')).toEqual([...base].sort())
})

test('the core for JavaScript engines adds the string functions', () => {
  expect(exportsOf('core')).toEqual([...base, ...strings].sort())
})

test('the debug build adds the checker', () => {
  expect(exportsOf('core.debug')).toEqual([...base, ...strings, 'check'].sort())
})

test('the base imports nothing', () => {
  expect(importsOf('core.base')).toEqual([])
})

test('the core imports two string builtins, or nothing where the engine has them', () => {
  const builtins = ['wasm:js-string charCodeAt', 'wasm:js-string length']
  expect(importsOf('core')).toEqual(hasStringBuiltins ? [] : builtins)
})

test('the base passes nothing but i32 and f64', () => {
  // A module that passes i64 needs BigInt, so a call with numbers alone would throw a TypeError.
  const exports = instantiate(compile('core.base'), {})
  expect((exports.create as (...sizes: number[]) => number)(10, 0, 0, 0)).toBe(0)
  for (const [name, value] of Object.entries(exports)) {
    if (typeof value !== 'function') continue
    const answer = value(...Array.from({ length: value.length }, () => 0))
    expect(['number', 'undefined'], name).toContain(typeof answer)
  }
})

test('every build keeps its header where the host looks', () => {
  const at = (artefact: string) => {
    const exports = instantiate(compile(artefact), {})
    return ['HEADER_AT', 'SEED_AT', 'SIZE_AT', 'REMOVAL_COUNT_AT', 'STATS_AT'].map(
      (name) => (exports[name] as WebAssembly.Global).value,
    )
  }
  expect(at('core')).toEqual([64, 104, 80, 84, 208])
  expect(at('core.base')).toEqual(at('core'))
  expect(at('core.debug')).toEqual(at('core'))
})
