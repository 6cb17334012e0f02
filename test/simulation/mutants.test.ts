import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { mutants, mutate } from './mutants.js'

test.each(mutants)('the guard against "$name" is in the code', (mutant) => {
  const path = join(import.meta.dirname, '../../src', mutant.file)
  const code = readFileSync(path, 'utf8')
  expect(mutate(mutant, path, code)).not.toBe(code)
})

test('every guard has a name of its own', () => {
  expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length)
})

test('there are guards enough for a run to be worth something', () => {
  expect(mutants.length).toBeGreaterThanOrEqual(25)
})
