import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'

const folder = new URL('../../../', import.meta.url)

/** The names that an interface of exports.ts lists, one to a line. */
function declaredNames(): string[] {
  const text = readFileSync(new URL('src/core/exports.ts', folder), 'utf8')
  const body = text.slice(text.indexOf('export interface CoreExports {'))
  return [...body.matchAll(/^ {2}(?:readonly )?(\w+)[:(]/gm)].map((match) => match[1] as string)
}

function exportedNames(artefact: string): string[] {
  const bytes = new Uint8Array(readFileSync(new URL(`build/${artefact}`, folder)))
  return WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map(({ name }) => name)
}

test('exports.ts declares what core.wasm exports, and nothing else', () => {
  expect(declaredNames().sort()).toEqual(exportedNames('core.wasm').sort())
})

test('the base build is the same without the operations that take a string', () => {
  const withoutStrings = declaredNames().filter((name) => !name.endsWith('String'))
  expect(exportedNames('core.base.wasm').sort()).toEqual(withoutStrings.sort())
})
